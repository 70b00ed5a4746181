"""The World Bank's interface: whole series or one clear error; the same rows as the publisher's files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.clients import wgi, worldbank
from ingest.clients.paged import WorldBankSeries
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.sources import sources
from tests.publishers import world_bank
from tests.publishers.transport import PLANTED, QUICK, Planted, fetched
from tests.replay import Asked, Replay, Reply, other

GDP = "NY.GDP.MKTP.CD"
FIGURES = [
    (code, year, None if year == 2024 else 1e9 + year) for code in ("CHL", "AUS", "WLD") for year in range(2015, 2025)
]
SERVED = "/v2/country/all/indicator/"


class PagedGdp(worldbank.WorldBank):
    """GDP in pages of seven rows, so that a few rows make several."""

    per_page = 7


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    with Replay() as replay:
        monkeypatch.setenv("ORETRACE_URL_WORLDBANK", f"{replay.url}/v2")
        monkeypatch.setenv("ORETRACE_URL_WGI", f"{replay.url}/v2")
        yield replay


def _governance(figures: list[tuple[str, int, float | None]]) -> dict[str, list[tuple[str, int, float | None]]]:
    client = wgi.GovernanceIndicators
    return dict.fromkeys((*client.series, *client.optional), figures)


def _read(client: WorldBankSeries, folder: Path, edition: str) -> pl.DataFrame:
    (table,) = sources()[client.source].read_vintage(folder, edition).values()
    return table.drop("source", "vintage")


def test_all_pages_are_kept_as_answered_and_read_without_the_years_that_have_no_figure(
    server: Replay, tmp_path: Path
) -> None:
    world_bank.serve(server, {GDP: FIGURES})
    plan, proof = fetched(PagedGdp(), tmp_path)
    assert (plan.edition, proof.rows, proof.server_total) == ("2025-07-01", 30, 30)
    assert "30 = rows kept, none twice, 3 without a figure" in proof.checks[0]
    assert [path.name for path in sorted((tmp_path / GDP).iterdir())] == [f"page-{n:04}.json" for n in range(1, 6)]
    table = _read(PagedGdp(), tmp_path, plan.edition)
    assert sorted(table.rows()) == sorted(row for row in FIGURES if row[2] is not None)


def test_a_pull_goes_on_with_the_page_it_lacks(server: Replay, tmp_path: Path) -> None:
    world_bank.serve(server, {GDP: FIGURES})
    fetched(PagedGdp(), tmp_path)
    (tmp_path / GDP / "page-0003.json").unlink()
    server.asked.clear()
    fetched(PagedGdp(), tmp_path)
    assert [asked.query["page"] for asked in server.asked] == ["1", "3"]  # the plan's head, the lacking page


def test_the_state_changes_with_the_day_of_the_update_and_with_the_rows(server: Replay, tmp_path: Path) -> None:
    rows = world_bank.serve(server, {GDP: FIGURES})
    first, _ = fetched(PagedGdp(), tmp_path / "a")
    again, _ = fetched(PagedGdp(), tmp_path / "b")
    rows[GDP].pop()
    fewer, _ = fetched(PagedGdp(), tmp_path / "c")
    assert first.state == again.state != fewer.state


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_fault_of_the_way_ends_in_the_whole_series_or_in_one_error(
    server: Replay, tmp_path: Path, planted: Planted
) -> None:
    world_bank.serve(server, {GDP: FIGURES})
    server.misbehave(planted.fault, path=SERVED, times=planted.times, after=2)
    if planted.error is None:
        assert fetched(PagedGdp(), tmp_path)[1].rows == 30
        return
    with pytest.raises(planted.error) as error:
        fetched(PagedGdp(), tmp_path)
    assert GDP in str(error.value) or "host" in str(error.value)


def _changed(**head: object) -> object:
    def change(_: Asked, reply: Reply) -> Reply:
        content = json.loads(reply.body)
        return world_bank.reply([content[0] | head, content[1]])

    return change


def _repeated(asked: Asked, reply: Reply) -> Reply:
    """Give the rows of the second page under the number that was asked for."""
    content = json.loads(reply.body)
    first = [world_bank.row(GDP, *figure) for figure in FIGURES[7:14]]
    return world_bank.reply([content[0], first])


def _empty(_: Asked, reply: Reply) -> Reply:
    return world_bank.reply([json.loads(reply.body)[0], []])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed(page=1), "expected page 3 of 30 rows.*found page 1"),
        (_changed(total=31), "found page 3 of 31 rows"),
        (_changed(lastupdated="2025-08-01"), "updated 2025-07-01.*updated 2025-08-01"),
        (_repeated, "the pages hold 30, of them 23 different"),
        (_empty, "the server counts 30 rows, the pages hold 23"),
    ],
)
def test_a_page_that_repeats_or_does_not_add_up_is_an_incomplete_pull(
    server: Replay, tmp_path: Path, change: object, message: str
) -> None:
    world_bank.serve(server, {GDP: FIGURES})
    server.misbehave(other(change), path=SERVED, times=1, after=3)
    with pytest.raises(IncompletePull, match=message):
        fetched(PagedGdp(), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"footnote": "x"}, r"\['footnote'\] are new or missing"),
        ({"unit": "thousand"}, "'unit': 'thousand'"),
        ({"obs_status": "F"}, "'obs_status': 'F'"),
        ({"scale": "6"}, "'scale': '6'"),
        ({"value": "12"}, "'12' is no number"),
    ],
)
def test_a_new_field_or_mark_is_refused_by_name(
    server: Replay, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    rows = world_bank.serve(server, {GDP: FIGURES})
    rows[GDP][20] |= change
    with pytest.raises(SourceChanged, match=message):
        fetched(PagedGdp(), tmp_path)


def test_a_message_of_the_publisher_is_told_with_its_text(server: Replay, tmp_path: Path) -> None:
    world_bank.serve(server, {})
    with pytest.raises(SourceChanged, match="120 Invalid value: The provided parameter value is not valid"):
        fetched(PagedGdp(), tmp_path)


def test_an_edition_that_is_not_the_newest_does_not_exist(server: Replay, tmp_path: Path) -> None:
    world_bank.serve(server, {GDP: FIGURES})
    with pytest.raises(BadInput, match="the only one is 2025-07-01"):
        fetched(PagedGdp(), tmp_path, "2020-07-01")
    with pytest.raises(BadInput, match="no editions by year"):
        worldbank.CLIENT.editions([2024], [], date(2026, 1, 1))
    assert worldbank.CLIENT.editions([], [], date(2026, 1, 1)) == []


def test_governance_asks_its_own_database_for_six_estimates_and_their_errors(server: Replay, tmp_path: Path) -> None:
    world_bank.serve(server, _governance(FIGURES))
    plan, proof = fetched(wgi.CLIENT, tmp_path)
    assert (len(plan.partitions["series"]), proof.rows) == (12, 360)
    assert {asked.query["source"] for asked in server.asked} == {"3"}
    table = _read(wgi.CLIENT, tmp_path, plan.edition)
    assert table.height == 6 * 30
    assert table["estimate"].null_count() == table["std_error"].null_count() == 18


def test_governance_stands_without_standard_errors_that_the_publisher_does_not_know(
    server: Replay, tmp_path: Path
) -> None:
    served = _governance(FIGURES)
    world_bank.serve(server, {name: figures for name, figures in served.items() if name.endswith(".EST")})
    plan, proof = fetched(wgi.CLIENT, tmp_path)
    assert "the World Bank knows no series GOV_WGI_CC.STD.ERR" in proof.checks
    table = _read(wgi.CLIENT, tmp_path, plan.edition)
    assert table["std_error"].is_null().all()
    assert table["estimate"].null_count() == 18


def test_governance_does_not_stand_without_an_estimate(server: Replay, tmp_path: Path) -> None:
    served = _governance(FIGURES)
    del served["GOV_WGI_RL.EST"]
    world_bank.serve(server, served)
    with pytest.raises(SourceChanged, match=r"GOV_WGI_RL\.EST"):
        fetched(wgi.CLIENT, tmp_path)


def test_the_real_gdp_series_reads_the_same_from_the_interface_and_from_the_file(
    server: Replay, tmp_path: Path, shared_data: Path
) -> None:
    of_file = _read(worldbank.CLIENT, shared_data / "worldbank", "2024")
    world_bank.serve(server, {GDP: [*of_file.rows(), ("CHL", 1900, None)]})
    plan, proof = fetched(worldbank.CLIENT, tmp_path, settings=replace(QUICK, read=5))
    assert proof.rows == of_file.height + 1 == 13_980
    assert _read(worldbank.CLIENT, tmp_path, plan.edition).equals(of_file)


def test_the_real_governance_series_read_the_same_from_the_interface_and_from_the_workbook(
    server: Replay, tmp_path: Path, shared_data: Path
) -> None:
    of_file = _read(wgi.CLIENT, shared_data / "wgi", "2024")
    served = {
        f"GOV_WGI_{name.upper()}.{measure}": of_file.filter(indicator=name).select("code", "year", column).rows()
        for name in of_file["indicator"].unique()
        for measure, column in (("EST", "estimate"), ("STD.ERR", "std_error"))
    }
    world_bank.serve(server, served)
    plan, proof = fetched(wgi.CLIENT, tmp_path, settings=replace(QUICK, read=5))
    assert proof.rows == 2 * of_file.height == 64_200
    key = ["indicator", "code", "year"]
    assert _read(wgi.CLIENT, tmp_path, plan.edition).sort(key).equals(of_file.sort(key))
