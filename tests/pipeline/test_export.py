"""``oretrace export``: files that give the published figures back, with what they mean."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import duckdb
import fastexcel
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from exports.sdmx import MEASURES
from tests.pipeline.conftest import oretrace

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def published(first_run: Run) -> Path:
    return first_run[0]


def rows(home: Path, sql: str) -> pl.DataFrame:
    with duckdb.connect(str(home / "warehouse" / "oretrace.duckdb"), read_only=True) as db:
        return db.execute(sql).pl()


def test_a_workbook_holds_the_figures_of_the_marts_and_says_what_they_are(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "magnets.xlsx"
    done = oretrace("export", "xlsx", str(file), "--material", "REE", "--importer", "germany", home=published)
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert "left out" in done.stderr
    book = fastexcel.read_excel(file)
    where = "where material = 'rare_earths' and importer = 'DEU' order by all"
    for table in ("mart_dependence_by_stage", "mart_supplier_exposure", "mart_disruption"):
        expected = rows(published, f"select * from {table} {where}")
        found = pl.read_excel(file, sheet_name=table, schema_overrides=dict(expected.schema))
        assert expected.height > 5
        # A column without any figure comes back as one without any figure.
        assert_frame_equal(found.cast(dict(expected.schema)), expected)
    cells = {str(cell) for row in book.load_sheet("README", header_row=None).to_polars().rows() for cell in row}
    assert "material rare_earths, importer DEU" in cells
    assert "share, 0 to 1" in cells
    assert "V202601" in cells
    assert any(cell.startswith("CC-BY-4.0") for cell in cells)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_give_the_table_back(published: Path, tmp_path: Path, form: str) -> None:
    done = oretrace("export", form, str(tmp_path / "out"), "--year", "2024", "--stage", "metal", home=published)
    assert done.returncode == 0, done.stderr
    table = "mart_stage_concentration"
    expected = rows(published, f"select * from {table} where year = 2024 and stage = 'metal' order by all")
    file = tmp_path / "out" / f"{table}.{form}"
    found = pl.read_csv(file, schema=expected.schema) if form == "csv" else pl.read_parquet(file)
    assert_frame_equal(found, expected)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.suffix != f".{form}"] == []
    assert sorted(done.stdout.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))


def test_sdmx_read_back_by_its_library_gives_the_figures_of_the_marts(published: Path, tmp_path: Path) -> None:
    from pysdmx.io import get_datasets, read_sdmx

    done = oretrace("export", "sdmx", str(tmp_path), "--material", "rare_earths", "--year", "2024", home=published)
    assert done.returncode == 0, done.stderr
    data, structure = tmp_path / "dependence.csv", tmp_path / "dependence_structure.xml"
    read_sdmx(structure, validate=True)  # against the schemas of SDMX-ML 3.0
    (dataset,) = get_datasets(data, structure, validate=True)
    # Columns as SDMX-CSV 2.0 orders them: structure, action, dimensions, measure, attributes.
    header = data.read_text().splitlines()[0].split(",")
    assert header[:4] == ["STRUCTURE", "STRUCTURE_ID", "ACTION", "FREQ"]
    assert data.read_text().splitlines()[1].startswith("datastructure,ORETRACE:DEPENDENCE(1.0.0),I,A,")
    components = {component.id: component for component in dataset.structure.components}
    assert set(header[3:]) == set(components)
    found = pl.from_pandas(dataset.data.astype(str).replace("nan", ""))
    dimensions = [name for name, component in components.items() if str(component.role.value) == "D"]
    assert len(dimensions) == 7
    assert found.select(dimensions).is_unique().all()
    for name, component in components.items():
        listed = {code.id for code in component.enumeration.items} if component.enumeration else None
        used = set(found[name].unique()) - {""}
        assert listed is None or used <= listed, name
        assert not component.required or found.filter(pl.col(name) == "").is_empty(), name
    assert found.height > 5000
    for measure in MEASURES:
        partner = "country" if measure.table == "mart_supplier_exposure" else "'_Z'"
        expected = rows(
            published,
            f"select importer, {partner} as partner, stage, {measure.column} as value from {measure.table} "
            f"where material = 'rare_earths' and year = 2024 and {measure.column} is not null order by all",
        )
        got = found.filter(pl.col("INDICATOR") == measure.code, pl.col("OBS_VALUE") != "").select(
            importer="REF_AREA", partner="COUNTERPART_AREA", stage="STAGE", value=pl.col("OBS_VALUE").cast(pl.Float64)
        )
        assert expected.height > 0, measure.code
        assert_frame_equal(got.sort(pl.all()), expected)


def test_a_figure_that_is_printed_as_a_range_is_an_sdmx_observation_without_value(
    published: Path, tmp_path: Path
) -> None:
    done = oretrace("export", "sdmx", str(tmp_path), "--importer", "USA", home=published)
    assert done.returncode == 0, done.stderr
    found = pl.read_csv(tmp_path / "dependence.csv", infer_schema=False).filter(INDICATOR="NET_IMPORT_RELIANCE")
    expected = rows(
        published,
        "select nir_token, nir_low_pct from mart_dependence_by_stage where importer = 'USA' and nir_token is not null "
        "and nir_pct is null and nir_low_pct is not null",
    )
    ranges = found.filter(pl.col("OBS_VALUE").is_null(), pl.col("OBS_LOW").is_not_null())
    assert ranges.height == expected.height > 0
    assert set(ranges["OBS_PRINTED"]) == set(expected["nir_token"])
    assert set(ranges["OBS_STATUS"]) == {"O"}
    withheld = found.filter(OBS_PRINTED="W")
    assert set(withheld["OBS_STATUS"]) <= {"Q"}
    assert set(withheld["CONF_STATUS"]) <= {"C"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["csv", "out", "--material", "galium"], "gallium"),
        (["csv", "out", "--importer", "Germny"], "DEU"),
        (["csv", "out", "--stage", "compoud"], "compound"),
        (["csv", "out", "--table", "mart_claim"], "mart_claims"),
        (["csv", "out", "--table", "mart_claims", "--table", "dim_stage", "--year", "2024"], "dim_stage has no column"),
        (["csv", "out.csv"], "name one with --table"),
        (["xlsx", "out"], "out.xlsx"),
        (["sdmx", "out", "--table", "mart_claims"], "mart_dependence_by_stage"),
        (["xlsx", "out.xlsx", "--material", "gallium", "--year", "1900"], "no rows"),
        (["csv", "out", "--material", "gallium", "--year", "1900"], "no rows"),
        (["parquet", "out.parquet", "--table", "mart_claims", "--year", "1900"], "no rows"),
        (["cvs", "out"], "csv"),
    ],
)
def test_a_mistake_is_told_with_what_there_is_and_nothing_is_written(
    published: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    form, name, *rest = arguments
    done = oretrace("export", form, str(tmp_path / name), *rest, home=published)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_there_is_replaced_only_when_asked(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "stages.csv"
    file.write_text("mine")
    asked = ("export", "csv", str(file), "--table", "dim_stage")
    done = oretrace(*asked, home=published)
    assert (done.returncode, file.read_text()) == (2, "mine")
    assert "--force" in done.stderr
    done = oretrace(*asked, "--force", home=published)
    assert done.returncode == 0
    assert file.read_text().startswith("stage,")
    assert not re.search(r"\x1b\[", done.stdout + done.stderr)
