"""The bench's generated release has the shape of the real one, and the job makes of it what DuckDB alone adds up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from bench.volume.bare import aggregate
from bench.volume.release import VERSION, flows, rows_by_year, world, write_release
from ingest.embedded import read_snapshot_table
from ingest.live import embedded_tables
from ingest.sources import sources
from ingest.sources.baci_release import prove_release
from ingest.transforms import stage_flow, trade_flow
from ingest.transforms.hs_stage import stage_map, stage_overrides

SCALE = 0.004


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    write_release(folder, 2, scale=SCALE, processes=1)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(release: Path, tmp_path: Path) -> None:
    write_release(tmp_path / "same", 2, scale=SCALE, processes=1)
    write_release(tmp_path / "other", 2, scale=SCALE, processes=1, seed=7)
    for path in sorted(release.iterdir()):
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()
    years = [path.name for path in release.iterdir() if "_Y" in path.name]
    assert len(years) == 2
    for name in years:
        assert (release / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_the_generated_files_pass_the_proof_of_a_complete_release(release: Path) -> None:
    proof = prove_release(release, VERSION)
    assert proof["years"] == [2023, 2024]
    assert (proof["countries"], proof["products"]) == (238, 5384)  # as release V202601 of HS2017 lists
    for year, rows in rows_by_year(2, SCALE).items():
        assert proof["rows_by_year"][year] == pytest.approx(rows, rel=0.15)


def test_28_years_are_270_million_rows_that_grow() -> None:
    rows = rows_by_year(28)
    assert sum(rows.values()) == pytest.approx(270e6, rel=0.001)
    assert list(rows) == list(range(1997, 2025))
    assert rows[2024] / rows[1997] == pytest.approx(1.49, abs=0.01)


def test_skew_gaps_and_spread_are_those_of_the_real_extract() -> None:
    """Bands: a tenth of the share for concentration, one point for missing weights, 5 % for values."""
    real = read_snapshot_table("raw_baci__flows").filter(pl.col("scope") == "all_pairs", pl.col("year") == 2024)
    real = real.rename({"exporter": "i", "importer": "j", "hs_code": "k", "quantity_gross_t": "q"})
    real = real.with_columns(v=pl.col("value_usd") / 1000)
    made = flows(2024, 500_000)
    assert made.select(pl.struct("i", "j", "k").n_unique()).item() == made.height
    assert made.filter(pl.col("i") == pl.col("j")).is_empty()
    for end in ("i", "j"):
        largest = [
            table.group_by(end).len().sort("len", descending=True)["len"].head(20).sum() / table.height
            for table in (real, made)
        ]
        assert largest[1] == pytest.approx(largest[0], abs=0.1)
    missing = [table["q"].null_count() / table.height for table in (real, made)]
    assert missing[1] == pytest.approx(missing[0], abs=0.01 + abs(missing[0] - real_mean_by_code(real)))
    spread = [table["v"].log().std() for table in (real, made)]
    assert spread[1] == pytest.approx(spread[0], rel=0.05)
    prices = [(table["v"] / table["q"]).log().std() for table in (real, made)]
    assert prices[1] == pytest.approx(prices[0], rel=0.15)
    mapped = {int(code) for code in stage_map()["hs_code"] if len(code) == 6}
    per_code = made.filter(pl.col("k").is_in(mapped)).group_by("k").len()["len"].mean()
    assert per_code * 9_640_000 / 500_000 == pytest.approx(real.group_by("k").len()["len"].mean(), rel=0.25)


def real_mean_by_code(real: pl.DataFrame) -> float:
    """Share of missing weights when each code counts the same, as codes are drawn."""
    return float(real.group_by("k").agg(pl.col("q").is_null().mean())["q"].mean())  # type: ignore[arg-type]


def test_the_job_makes_the_stage_flows_that_duckdb_alone_adds_up(release: Path, tmp_path: Path) -> None:
    parts = list(sources()["baci"].parts_of(release, VERSION))
    assert len(parts) == 2, "a year at a time"
    baci = {table: pl.concat([part[table] for part in parts]) for table in sources()["baci"].tables}
    scans = {name: frame.lazy() for name, frame in (embedded_empty() | baci).items()}
    trade = pl.concat([frame for frame, _ in trade_flow.pieces({name: scans[name] for name in trade_flow.INPUTS})])
    ours = pl.concat([frame for frame, _ in stage_flow.pieces({"trade_flow": trade.lazy()})])
    aggregate(release, tmp_path / "bare.parquet")
    iso3 = {number: "TWN" if name == "S19" else name for number, name in world().iso3.items()}
    theirs = pl.read_parquet(tmp_path / "bare.parquet").with_columns(
        pl.col("exporter", "importer").replace_strict(iso3, return_dtype=pl.String), pl.col("year").cast(pl.Int32)
    )
    # Left out: stages with a code that the job refuses to weigh, or that a pair of countries uses in a way of its own.
    plain = plain_stages()
    keys = ["year", "exporter", "importer", "material", "stage"]
    both = [frame.join(plain, on=["material", "stage"], how="semi").sort(keys) for frame in (ours, theirs)]
    assert both[0].height > 1_000
    assert both[0].select(keys).equals(both[1].select(keys))
    gap = (both[0]["value_usd"] / both[1]["value_usd"] - 1).abs().max()
    assert isinstance(gap, float)
    assert gap < 1e-12


def embedded_empty() -> dict[str, pl.DataFrame]:
    return {name: frame.clear() for name, frame in embedded_tables().items()}


def plain_stages() -> pl.DataFrame:
    six = stage_map().filter(pl.col("hs_code").str.len_chars() == 6)
    refused = pl.col("content_factor").is_null() | (pl.col("basket_share_high") == 0)
    refused |= pl.col("basket_share").is_null() & pl.col("rest_usd_kg").is_null()
    refused |= pl.col("hs_code").is_in(stage_overrides()["hs_code"].implode())
    return six.group_by("material", "stage").agg(refused.any().alias("refused")).filter(~pl.col("refused"))
