"""BGS statistics beside the other sources, on real rows: they fill gaps, change nothing else and count once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import duckdb
import jinja2
import polars as pl
import pytest

from ingest.embedded import read_snapshot_table
from ingest.sources import sources, table_owner
from ingest.transforms import run_all, transforms
from ingest.transforms.production_bgs import RAW
from ingest.transforms.stage_candidates import CELL, GROUP
from tests.conftest import PROJECT

Tables = dict[str, pl.DataFrame]
DBT = PROJECT / "dbt_project"
NEEDED = "stage_production"


def _needed() -> set[str]:
    """Canonical tables up to ``stage_production``."""
    steps, found, due = transforms(), set(), [NEEDED]
    while due:
        table = due.pop()
        if table not in found:
            found.add(table)
            due += [name for name in steps[table].inputs if name in steps]
    return found


def _made(bgs: pl.DataFrame | None) -> Tables:
    steps = {table: transforms()[table] for table in _needed()}
    raw = {name for step in steps.values() for name in step.inputs if name not in steps}
    tables = {}
    for name in raw:
        source = sources()[table_owner()[name]]
        empty = pl.DataFrame(schema=dict(source.tables[name]))
        tables[name] = read_snapshot_table(name).select(empty.columns) if source.in_snapshot else empty
    if bgs is not None:
        tables[RAW] = bgs
    return run_all(tables, steps)


@pytest.fixture(scope="module")
def statistics(shared_data: Path) -> pl.DataFrame:
    return sources()["bgs"].read_vintage(shared_data / "bgs", "2023")[RAW]


@pytest.fixture(scope="module")
def without() -> Tables:
    return _made(None)


@pytest.fixture(scope="module")
def together(statistics: pl.DataFrame) -> Tables:
    return _made(statistics)


def test_every_real_row_is_kept_or_dropped_with_a_reason(statistics: pl.DataFrame, together: Tables) -> None:
    kept = together["production"].filter(source="bgs").height
    dropped = together["dropped"].filter(source="bgs", table="production")["rows"].sum()
    assert kept + dropped == statistics.height == 27_487
    assert kept > 1000


def test_the_real_rare_earth_oxides_are_near_the_known_world_figures(together: Tables) -> None:
    rows = together["production"].filter(source="bgs", material="rare_earths", stage="mine")
    world = dict(rows.group_by("year").agg(pl.col("quantity_t").sum()).rows())
    assert world[2022] == pytest.approx(300_000, rel=0.10)
    assert world[2023] == pytest.approx(376_000, rel=0.01)


def test_lithium_lines_add_up_to_the_known_world_figures_without_counting_hydroxide(together: Tables) -> None:
    rows = together["production"].filter(source="bgs", material="lithium", stage="mine")
    world = dict(rows.group_by("year").agg(pl.col("quantity_t").sum()).rows())
    assert world[2023] == pytest.approx(204_000, rel=0.06)  # MCS 2025
    chile = rows.filter(iso3="CHL", year=2022)["quantity_t"].sum()
    assert chile == pytest.approx(38_000, rel=0.01)  # MCS 2024


def test_other_rows_of_production_stay_as_they_are(without: Tables, together: Tables) -> None:
    assert together["production"].filter(pl.col("source") != "bgs").equals(without["production"])


def test_a_figure_is_never_taken_where_another_source_speaks(without: Tables, together: Tables) -> None:
    before, after = without[NEEDED], together[NEEDED]
    both = before.join(after, on=CELL, how="left", suffix="_after")
    assert both["source_after"].null_count() == 0
    assert both.filter(pl.col("source") != pl.col("source_after")).is_empty()
    new = after.join(before, on=CELL, how="anti")
    assert set(new["source"]) == {"bgs"}
    assert new.height > 300


def test_output_of_a_stage_does_not_grow_beyond_the_bounds_it_had(without: Tables, together: Tables) -> None:
    before = (
        without[NEEDED]
        .group_by(GROUP)
        .agg(pl.col("quantity_t", "quantity_t_high").sum(), others=(pl.col("iso3") == "OTH").any())
    )
    after = together[NEEDED].group_by(GROUP).agg(after=pl.col("quantity_t").sum())
    # Only lists with a line for others are whole: elsewhere new countries rightly add.
    whole = before.filter("others").join(after, on=GROUP)
    assert whole.height > 100
    assert whole.filter(pl.col("after") > pl.col("quantity_t_high") * (1 + 1e-9)).is_empty()
    assert whole.filter(pl.col("after") > pl.col("quantity_t") * 1.02).is_empty()


def test_figures_that_differ_are_shown_beside_the_one_in_use(together: Tables) -> None:
    cell = together[NEEDED].filter(material="rare_earths", stage="mine", iso3="USA", year=2023).row(0, named=True)
    assert cell["source"] == "usgs_mcs"
    assert "bgs 24960" in cell["alternatives"]
    assert cell["conflict"]


@cache
def _macros() -> str:
    return "\n".join(path.read_text() for path in sorted((DBT / "macros").glob("*.sql")) if "generate" not in path.name)


def _model(name: str) -> str:
    """Return the SQL of a model of the project, its references as plain names."""
    (path,) = DBT.rglob(f"models/**/{name}.sql")
    environment = jinja2.Environment(autoescape=False)  # noqa: S701  # SQL, not HTML
    return environment.from_string(_macros() + path.read_text()).render(ref=lambda model: model, config=lambda **_: "")


@pytest.fixture(scope="module")
def modelled(together: Tables) -> duckdb.DuckDBPyConnection:
    """The project's own models on the real rows."""
    connection = duckdb.connect()
    for table, frame in together.items():
        connection.register(f"stg_canonical__{table}", frame.to_arrow())
    for name in (
        "int_production__latest", "int_output__by_country", "int_salient__production", "int_production__own",
        "int_concentration__shares",
    ):  # fmt: skip
        connection.execute(f"create table {name} as {_model(name)}")
    return connection


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[object, ...]]:
    return connection.sql(re.sub(r"\s+", " ", query)).fetchall()


def test_own_output_is_one_row_a_cell_and_comes_from_this_source_only_where_no_list_has_it(
    modelled: duckdb.DuckDBPyConnection,
) -> None:
    assert not _rows(
        modelled,
        "select country, material, stage, year from int_production__own group by all having count(*) > 1",
    )
    assert _rows(modelled, "select count(*) > 300 from int_production__own where production_source = 'bgs'") == [
        (True,)
    ]
    assert not _rows(
        modelled,
        """
        select own.* from int_production__own as own
        inner join int_output__by_country as other using (country, material, stage, year)
        where own.production_source = 'bgs' and other.source <> 'bgs'
            and other.production_t is not null and not other.is_total
        """,
    )


def test_shares_of_each_list_add_up_to_one_beside_each_other(modelled: duckdb.DuckDBPyConnection) -> None:
    sums = _rows(
        modelled,
        """
        select material, stage, year, sum(share) from int_concentration__shares
        where source = 'bgs' group by all having sum(share) is not null
        """,
    )
    assert len(sums) > 60
    assert all(total == pytest.approx(1) for *_, total in sums)
    # Lines of different bases would leave a stage out.
    stages = {row[:2] for row in sums}
    assert stages == set(
        _rows(modelled, "select distinct material, stage from int_output__by_country where source = 'bgs'")
    )
