"""The monthly monitor on the real export series, and on import months replayed in the interface's shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ingest.sources import census_monthly, policy
from ingest.sources.census import used_codes
from ingest.sources.census_replies import Reply
from ingest.transforms import import_monitor, restriction, trade_month
from ingest.vintages import add_vintage, raw_vintages

TABLE = census_monthly.TABLE
VIETNAM, IRELAND = "5520", "4190"


@pytest.fixture(scope="module")
def controls(shared_data: Path) -> pl.DataFrame:
    return restriction.build(policy.SOURCE.read_vintage(shared_data / "policy", "2025"))[0]


@pytest.fixture(scope="module")
def series(shared_data: Path, controls: pl.DataFrame) -> pl.DataFrame:
    raw = census_monthly.SOURCE.read_vintage(shared_data / "census" / "exports_hs10_monthly", "2026-01-series")
    return import_monitor.monitor(trade_month.build(raw)[0], controls)[0]


def printed(shared_data: Path, country: str, hs6: str) -> dict[str, float]:
    """Monthly exports of a code straight from the publisher's file; a month without a row is zero."""
    frame = pl.read_parquet(shared_data / "census" / "exports_hs10_monthly" / f"{country}data-combined.parquet")
    months = dict.fromkeys(sorted(frame["time"].unique()), 0.0)
    for code, month, usd in frame.select("E_COMMODITY", "time", "ALL_VAL_MO").iter_rows():
        if code[:6] == hs6:
            months[month] += float(usd)
    return months


@pytest.mark.parametrize(
    ("country", "partner", "hs6", "material"),
    [
        (VIETNAM, "VNM", "850511", "rare_earths"),
        (IRELAND, "IRL", "850511", "magnet_rare_earths"),
        (IRELAND, "IRL", "381800", "silicon"),
        (VIETNAM, "VNM", "284690", "rare_earths"),
    ],
)
def test_every_month_of_a_real_line_is_what_the_file_gives(
    shared_data: Path, series: pl.DataFrame, country: str, partner: str, hs6: str, material: str
) -> None:
    months = printed(shared_data, country, hs6)
    usd = list(months.values())
    expected = {}
    for n, month in enumerate(months):
        if any(usd[max(0, n - 12) : n + 1]):
            before = usd[n - 12 : n] if n >= 12 else None
            mean = sum(before) / 12 if before else None
            expected[month] = (
                usd[n],
                mean,
                usd[n] / usd[n - 12] - 1 if before and usd[n - 12] else None,
                usd[n] / mean - 1 if mean else None,
                min(n, 12),
                sum(value > 0 for value in usd[max(0, n - 12) : n]),
            )
    rows = series.filter(flow="X", line=hs6, partner=partner, material=material).sort("period")
    columns = ["value_usd", "mean_12m_usd", "change_on_year", "change_on_12m_mean", "months_available", "months_traded"]
    found = {row["period"]: tuple(row[name] for name in columns) for row in rows.iter_rows(named=True)}
    assert list(found) == list(expected)
    assert len(found) > 100
    for month, figures in expected.items():
        assert found[month] == pytest.approx(figures), month


def test_known_years_of_magnets(series: pl.DataFrame) -> None:
    magnets = series.filter(line="850511", material="rare_earths", year=2024)
    years = dict(magnets.group_by("partner").agg(pl.col("value_usd").sum()).iter_rows())
    assert years == {"VNM": 272_221, "IRL": 1_396_369}


def test_the_real_series_reaches_as_far_as_it_was_pulled_and_has_no_gap(series: pl.DataFrame) -> None:
    assert (series["period"].min(), series["period"].max()) == ("2013-01", "2026-01")
    assert series.filter(pl.col("year") > 2013)["months_available"].unique().to_list() == [12]
    assert series["period"].n_unique() == 157
    assert series["partner_share"].null_count() == series.height


def test_values_of_all_mapped_lines_survive_the_way_to_the_monitor(shared_data: Path, series: pl.DataFrame) -> None:
    files = sorted((shared_data / "census" / "exports_hs10_monthly").glob("*.parquet"))
    whole = pl.concat([pl.read_parquet(path, columns=["E_COMMODITY", "ALL_VAL_MO"]) for path in files])
    mapped = whole.filter(pl.col("E_COMMODITY").str.slice(0, 6).is_in(sorted(used_codes())))
    once = series.unique(["line", "partner", "period"])
    assert once["value_usd"].sum() == mapped["ALL_VAL_MO"].cast(pl.Float64).sum()


# Annual imports of 2024 by line and country, spread evenly over months and written as the interface replies.
FIRST, MONTHS = (2022, 8), 17
HEADINGS = ("2846", "8505", "8112", "8110")
CONTROLLED = "8112926000"


def annual(shared_data: Path) -> list[tuple[str, str, str, int]]:
    paths = sorted((shared_data / "census" / "imports_hs10_2024").glob("*.parquet"))
    frame = pl.concat(
        [pl.read_parquet(path, columns=["CTY_CODE", "CTY_NAME", "I_COMMODITY", "CON_VAL_YR"]) for path in paths]
    )
    frame = frame.filter(pl.col("I_COMMODITY").str.slice(0, 4).is_in(HEADINGS))
    # The file lists the European Union, not its members: Germany stands in for them beside the group.
    union = frame.filter(pl.col("CTY_CODE") == "0003")
    members = union.with_columns(CTY_CODE=pl.lit("4280"), CTY_NAME=pl.lit("GERMANY"))
    return [(code, name, line, int(usd)) for code, name, line, usd in pl.concat([frame, members]).iter_rows()]


def write_month(folder: Path, edition: str, rows: list[tuple[str, str, str, int]]) -> None:
    """Write a month's replies: one import file per heading, exports in one, totals and groups included."""
    single = [item for item in rows if item[0] != "0003"]
    totals: dict[str, int] = {}
    for _, _, line, usd in single:
        totals[line] = totals.get(line, 0) + usd
    everyone = [*rows, *(("-", "TOTAL FOR ALL COUNTRIES", line, usd) for line, usd in totals.items())]

    def table(reply: Reply, chosen: list[tuple[str, str, str, int]]) -> str:
        body = [
            [code, name, line, *[str(usd)] * len(reply.sums), str(usd // 50), "KG", "HS10", edition]
            for code, name, line, usd in chosen
        ]
        return json.dumps([[*reply.columns, "COMM_LVL", "time"], *body])

    folder.mkdir(parents=True)
    for heading in HEADINGS:
        chosen = [item for item in everyone if item[2][:4] == heading]
        (folder / f"imports-{heading}.json").write_text(table(census_monthly.IMPORTS, chosen))
    (folder / "exports-1.json").write_text(table(census_monthly.EXPORTS, everyone))


Change = Callable[[str, str, str, int], int]


def replayed(shared_data: Path, home: Path, controls: pl.DataFrame, change: Change) -> pl.DataFrame:
    """Replay months through vintages, reader and transforms; ``change`` gives USD of a month, code, line, mean."""
    year = annual(shared_data)
    for n in range(MONTHS):
        y, m = divmod(FIRST[0] * 12 + FIRST[1] - 1 + n, 12)
        edition = f"{y}-{m + 1:02}"
        rows = [(code, name, line, change(edition, code, line, usd // 12)) for code, name, line, usd in year]
        write_month(home / "download" / edition, edition, rows)
        add_vintage(home / "raw", "census_monthly", edition, home / "download" / edition)
    read = [census_monthly.SOURCE.read_vintage(item.folder, item.vintage)[TABLE] for item in raw_vintages(home / "raw")]
    assert len(read) == MONTHS
    return import_monitor.monitor(trade_month.build({TABLE: pl.concat(read)})[0], controls)[0]


@pytest.fixture(scope="module")
def replay(shared_data: Path, controls: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    def change(edition: str, code: str, line: str, mean: int) -> int:
        if line == CONTROLLED:
            # 2024 is after the control: bring its trade to a size that counts, then let China's fall below half.
            mean = 100_000 if code == "5700" else mean
            return mean * 2 // 5 if code == "5700" and edition >= "2023-08" else mean
        if line == "8505110070" and code == "5880" and edition >= "2023-10":
            return 0
        return mean

    return replayed(shared_data, tmp_path_factory.mktemp("replay"), controls, change)


def hits(table: pl.DataFrame, alert: str) -> set[tuple[str, str, str]]:
    found = table.filter(pl.col("alerts").str.split(";").list.contains(alert))
    return set(found.select("line", "partner", "period").iter_rows())


def test_lead_shares_of_replayed_months_are_those_of_the_annual_file(shared_data: Path, replay: pl.DataFrame) -> None:
    lines: dict[str, dict[str, int]] = {}
    for code, _, line, usd in annual(shared_data):
        if code != "0003" and line[:6] == "811010":
            lines.setdefault(line[:6], {}).setdefault(code, 0)
            lines[line[:6]][code] += usd // 12
    shares = {code: usd / sum(lines["811010"].values()) for code, usd in lines["811010"].items()}
    august = replay.filter(flow="M", line="811010", period="2023-08", material="antimony")
    assert august.filter(partner="CHN")["partner_share"].item() == pytest.approx(shares["5700"])
    assert august.filter(partner="CHN")["partner_share_12m"].item() == pytest.approx(shares["5700"])
    leading = august.filter("is_lead_partner").filter(pl.col("partner") != "WLD")
    assert leading["partner_share"].item() == pytest.approx(max(shares.values()))


def test_every_lead_alert_of_replayed_months_is_above_65_percent_and_none_is_missed(replay: pl.DataFrame) -> None:
    totals = replay.filter((pl.col("partner") == "WLD") & (pl.col("months_available") == 12)).select(
        "flow", "line", "material", "period", year_usd=11 * pl.col("mean_12m_usd") + pl.col("value_usd")
    )
    known = replay.filter(pl.col("flow") == "M").join(totals, on=["flow", "line", "material", "period"])
    above = known.filter((pl.col("partner_share_12m") > 0.65) & (pl.col("year_usd") >= 1.05e6))
    below = known.filter((pl.col("partner_share_12m") <= 0.65) | (pl.col("year_usd") < 0.95e6))
    raised = pl.col("alerts").str.contains("lead_share_above_65").fill_null(False)
    assert above.height > 20
    assert above.filter(~raised).is_empty()
    assert below.filter(raised).is_empty()


def test_the_drop_after_the_germanium_control_is_raised_for_china_alone(replay: pl.DataFrame) -> None:
    assert hits(replay, "drop_after_control") == {(CONTROLLED, "CHN", "2023-10")}
    said = replay.filter(line=CONTROLLED, partner="CHN", period="2023-10")["alert_reason"].item()
    assert "40.0 percent of the monthly mean before" in said
    assert "2023 No. 23" in said


def test_a_supplier_that_stops_one_national_line_of_several_is_not_gone(replay: pl.DataFrame) -> None:
    # 8505.11.0070 is one of the national lines of 8505.11; Japan goes on selling the others.
    assert hits(replay, "supplier_gone") == set()
    japan = replay.filter(flow="M", line="850511", partner="JPN", material="rare_earths").sort("period")
    assert japan["value_usd"][-1] < japan["value_usd"][0]


def test_prices_that_stand_still_raise_nothing(replay: pl.DataFrame) -> None:
    assert hits(replay, "price_jump") | hits(replay, "price_fall") == set()
    weighed = replay.filter(flow="M", line="850511", partner="CHN", period="2023-08", material="rare_earths")
    assert weighed["unit_value_usd_kg"].item() == pytest.approx(50, rel=0.01)


def test_a_supplier_that_stops_altogether_is_gone(shared_data: Path, controls: pl.DataFrame, tmp_path: Path) -> None:
    def change(edition: str, code: str, line: str, mean: int) -> int:
        return 0 if line[:6] == "811010" and code == "5700" and edition >= "2023-10" else mean

    made = replayed(shared_data, tmp_path, controls, change)
    before = made.filter(flow="M", line="811010", partner="CHN", material="antimony", period="2023-09")
    assert before["partner_share_12m"].item() > 0.1
    assert {hit for hit in hits(made, "supplier_gone") if hit[2] == "2023-10"} == {("811010", "CHN", "2023-10")}
