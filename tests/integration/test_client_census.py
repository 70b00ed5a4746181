"""From the Census trade interface comes a whole month or year, or one clear error; its key is seen nowhere."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.clients import census_api
from ingest.clients.base import Client, Plan
from ingest.clients.census import CLIENT as YEARLY
from ingest.clients.census_monthly import CLIENT as MONTHLY
from ingest.countries import countries, with_iso3
from ingest.errors import BadInput, FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.fetch import fetch
from ingest.home import REFERENCE, Home
from ingest.net.session import Http, Settings
from ingest.sources import census, census_monthly
from tests import replay
from tests.publishers.census import COMMODITY, PATH, Census, as_text, one_month, real_exports, real_year, trade
from tests.replay import Asked, Fault, Replay, Reply

PATIENCE = Settings(connect=1, read=0.3, total=0.4, retries=2, backoff=0.01, longest_wait=1, per_second=1000)
SECRET = "s3cr3t/key+of=planted&value"  # noqa: S105
# Requests of one generated month, of each direction: the list of headings and the four mapped headings.
EACH = 5


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    # Headers and body are two packets; waiting for the first one's receipt costs 40 ms a request.
    monkeypatch.setattr(replay.Handler, "disable_nagle_algorithm", True)
    with Replay() as publisher:
        monkeypatch.delenv("ORETRACE_CENSUS_KEY", raising=False)
        for client in (MONTHLY, YEARLY):
            monkeypatch.setenv(f"ORETRACE_URL_{client.source.upper()}", publisher.url + PATH)
        yield publisher


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with Http(tmp_path / "http", key=census_api.KEY, settings=PATIENCE) as session:
        yield session


def pulled(client: Client, http: Http, folder: Path, edition: str = "2025-01") -> Plan:
    plan = client.plan(http, edition)
    folder.mkdir(parents=True, exist_ok=True)
    client.pull(http, plan, folder)
    return plan


def changed(reply: Callable[[list[list[str]]], object], level: str = "HS10") -> Fault:
    """Change a good table; an answer of another level stays as it is."""

    def change(asked: Asked, good: Reply) -> Reply:
        if asked.query["COMM_LVL"] != level:
            return good
        assert isinstance(good.body, bytes)
        table = json.loads(good.body)
        return replace(good, body=as_text(reply(table) or table))  # type: ignore[arg-type]

    return replay.other(change)


def test_a_month_is_asked_by_heading_kept_as_received_and_proven(server: Replay, http: Http, tmp_path: Path) -> None:
    one_month().serve(server)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    proof = MONTHLY.prove(plan, tmp_path / "m")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    wanted = {f"{direction}-{heading}.json" for direction in COMMODITY for heading in ("2504", "2846", "8505", "8507")}
    assert names == wanted | {"headings-imports.json", "headings-exports.json"}
    first = next(asked for asked in server.asked if asked.query.get("I_COMMODITY"))
    assert first.query == {
        "get": "CTY_CODE,CTY_NAME,I_COMMODITY,GEN_VAL_MO,CON_VAL_MO,GEN_QY1_MO,UNIT_QY1",
        "COMM_LVL": "HS10",
        "I_COMMODITY": "2504*",
        "time": "2025-01",
    }
    listed = plan.partitions["total_of_headings_usd"]
    mapped = trade("imports").filter(pl.col("I_COMMODITY") != "0101210000")
    assert listed["imports"] == {
        "value_usd": mapped["GEN_VAL_MO"].sum(),
        "consumption_usd": mapped["CON_VAL_MO"].sum(),
    }
    # Eight lines, each with eight countries, the total and two groups, in both directions.
    assert proof.rows == 2 * 8 * (8 + 1 + 2)
    assert "8 of 8 headings answered" in proof.checks[0]
    assert f"{mapped['GEN_VAL_MO'].sum():,} USD" in proof.checks[1]


def test_the_kept_month_is_read_as_the_trade_it_was_made_from(server: Replay, http: Http, tmp_path: Path) -> None:
    one_month().serve(server)
    pulled(MONTHLY, http, tmp_path / "m")
    table = census_monthly.SOURCE.read_vintage(tmp_path / "m", "2025-01")["raw_census_monthly__trade"]
    chinese = table.filter(flow="M", country_code="5700", hs10="8505110070")
    made = trade("imports").filter(CTY_CODE="5700", I_COMMODITY="8505110070")
    assert chinese["value_usd"].item() == made["GEN_VAL_MO"].item()
    assert not table.filter(pl.col("hs10").is_in(["8505200000", "8507100030", "0101210000"])).height


def test_a_pull_goes_on_where_it_stopped(server: Replay, http: Http, tmp_path: Path) -> None:
    one_month().serve(server)
    server.misbehave(replay.status(503), path="/imports", after=3)
    with pytest.raises(FetchFailed, match=r"503"):
        pulled(MONTHLY, http, tmp_path / "m")
    kept = len(list((tmp_path / "m").iterdir()))
    assert 0 < kept < EACH
    server.behave()
    server.asked.clear()
    plan = pulled(MONTHLY, http, tmp_path / "m")
    assert len(server.asked) == 2 + 2 * EACH - kept
    MONTHLY.prove(plan, tmp_path / "m")


def test_a_heading_nobody_traded_is_not_asked_for_and_not_missed(server: Replay, http: Http, tmp_path: Path) -> None:
    held = one_month().held | {("exports", "2025-01"): trade("exports", lines=["8505110070"])}
    Census(held, twice=False).serve(server)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    assert "2 of" not in MONTHLY.prove(plan, tmp_path / "m").checks[0]
    assert [path.name for path in (tmp_path / "m").glob("exports-*")] == ["exports-8505.json"]


def test_a_month_that_is_not_out_makes_no_vintage(server: Replay, http: Http) -> None:
    interface = one_month()
    interface.serve(server)
    with pytest.raises(IncompletePull, match=r"not released imports of 2025-02 yet"):
        MONTHLY.plan(http, "2025-02")
    interface.held[("imports", "2025-02")] = trade("imports")
    with pytest.raises(IncompletePull, match=r"not released exports of 2025-02 yet"):
        MONTHLY.plan(http, "2025-02")


def test_the_state_tells_a_revision(server: Replay, http: Http) -> None:
    interface = one_month()
    interface.serve(server)
    first = MONTHLY.plan(http, "2025-01").state
    assert MONTHLY.plan(http, "2025-01").state == first
    interface.held[("exports", "2025-01")] = trade("exports", scale=2)
    assert MONTHLY.plan(http, "2025-01").state != first


def test_a_revision_during_the_pull_is_no_vintage(server: Replay, http: Http, tmp_path: Path) -> None:
    interface = one_month()
    interface.serve(server)
    plan = MONTHLY.plan(http, "2025-01")
    interface.held[("exports", "2025-01")] = trade("exports", scale=2)
    (tmp_path / "m").mkdir()
    MONTHLY.pull(http, plan, tmp_path / "m")
    with pytest.raises(IncompletePull, match=r"revised its figures during the pull"):
        MONTHLY.prove(plan, tmp_path / "m")


PASSING = {
    "busy": replay.status(429, Retry_After="0"),
    "broken": replay.status(500),
    "silence": replay.silence,
    "reset": replay.reset,
    "truncated": replay.truncated,
    "long length": replay.long_length,
    "broken gzip": replay.broken_gzip,
    "html": replay.html,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_failure_gives_the_whole_month(server: Replay, http: Http, tmp_path: Path, fault: Fault) -> None:
    one_month().serve(server)
    server.misbehave(fault, times=1)
    server.misbehave(fault, times=1, path="/exports", after=2)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    assert MONTHLY.prove(plan, tmp_path / "m").rows == 176


def empty(_: Asked, reply: Reply) -> Reply:
    return replace(reply, body=b"[]")


LASTING = {
    "unavailable": (replay.status(503), FetchFailed, "503"),
    "busy": (replay.status(429, Retry_After="0"), FetchFailed, "429"),
    "silence": (replay.silence, FetchFailed, "no usable answer"),
    "drip": (replay.drip, FetchFailed, "longer than"),
    "reset": (replay.reset, FetchFailed, "broke off"),
    "truncated": (replay.truncated, FetchFailed, "not whole JSON"),
    "long length": (replay.long_length, FetchFailed, "broke off"),
    "broken gzip": (replay.broken_gzip, FetchFailed, "not whole JSON|broke off"),
    "html": (replay.html, FetchFailed, "not whole JSON"),
    "another host": (replay.elsewhere("http://elsewhere.invalid"), SourceChanged, "another host"),
    "forbidden": (replay.status(403), KeyRefused, "ORETRACE_CENSUS_KEY is not set"),
    "gone": (replay.status(404), SourceChanged, "404"),
    "error with 400": (
        replay.other(lambda *_: Reply(b"error: unknown variable 'GEN_VAL_MO'", 400, kind="text/plain")),
        SourceChanged,
        "400",
    ),
    "error with 200": (
        replay.other(lambda *_: Reply(b"error: unknown variable 'GEN_VAL_MO'", kind="text/plain")),
        SourceChanged,
        "does not understand the request.*GEN_VAL_MO",
    ),
    "empty": (replay.other(empty), SourceChanged, "header row"),
}


@pytest.mark.parametrize(("fault", "kind", "says"), LASTING.values(), ids=LASTING)
def test_a_lasting_failure_is_one_clear_error_in_time(
    server: Replay, http: Http, fault: Fault, kind: type[OretraceError], says: str
) -> None:
    one_month().serve(server)
    server.misbehave(fault)
    began = time.monotonic()
    with pytest.raises(kind, match=f"(?s){says}"):
        MONTHLY.plan(http, "2025-01")
    assert time.monotonic() - began < 6


def test_no_data_for_a_listed_heading_is_no_whole_month(server: Replay, http: Http, tmp_path: Path) -> None:
    one_month().serve(server)
    server.misbehave(replay.status(204), path="/exports", after=3)
    with pytest.raises(IncompletePull, match=r"E_COMMODITY=2846\*.*no data, but Census lists trade"):
        pulled(MONTHLY, http, tmp_path / "m")


def renamed(table: list[list[str]]) -> None:
    table[0][table[0].index("UNIT_QY1")] = "UNIT_QY1_FLAG"


def dearer(table: list[list[str]]) -> None:
    at = table[0].index("GEN_VAL_MO")
    row = next(row for row in table if row[0] == "5700")
    row[at] = str(int(row[at]) + 1000)


def dearer_with_its_total(table: list[list[str]]) -> None:
    at = table[0].index("GEN_VAL_MO")
    for row in table:
        if row[0] in ("-", "5700"):
            row[at] = str(int(row[at]) + 1000)


def of_another_month(table: list[list[str]]) -> None:
    for row in table[1:]:
        row[table[0].index("time")] = "2024-01"


def of_another_level(table: list[list[str]]) -> None:
    for row in table[1:]:
        row[table[0].index("COMM_LVL")] = "HS6"


def with_text(table: list[list[str]]) -> None:
    table[-1][table[0].index("GEN_VAL_MO")] = "(D)"


def with_an_odd_country(table: list[list[str]]) -> None:
    table[-1][0] = "99"


SPOILT = {
    "renamed": (renamed, SourceChanged, "UNIT_QY1_FLAG"),
    "a country off": (dearer, IncompletePull, "does not add up.*countries sum to"),
    "a heading off": (dearer_with_its_total, IncompletePull, "lines sums to .* Census lists"),
    "another month": (of_another_month, SourceChanged, "2024-01"),
    "another level": (of_another_level, SourceChanged, "COMM_LVL.*HS6"),
    "a line missing": (lambda table: [row for row in table if row[2] != table[1][2]], IncompletePull, "Census lists"),
    "a row missing": (lambda table: [row for row in table if row[0] != "5700"], IncompletePull, "does not add up"),
    "a row twice": (lambda table: [*table, table[-1]], SourceChanged, "twice"),
    "no rows": (lambda table: table[:1], IncompletePull, "Census lists"),
    "a short row": (lambda table: [*table, table[2][:-1]], SourceChanged, "as long as the header"),
    "suppressed": (with_text, SourceChanged, r"'\(D\)'"),
    "odd country": (with_an_odd_country, SourceChanged, "country_code '99'"),
}


@pytest.mark.parametrize(("spoil", "kind", "says"), SPOILT.values(), ids=SPOILT)
def test_a_reply_that_is_not_as_asked_or_does_not_add_up_is_named(
    server: Replay,
    http: Http,
    tmp_path: Path,
    spoil: Callable[[list[list[str]]], object],
    kind: type[OretraceError],
    says: str,
) -> None:
    one_month(twice=False).serve(server)
    server.misbehave(changed(spoil), path="/imports", times=1, after=2)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    with pytest.raises(kind, match=f"(?s){says}"):
        MONTHLY.prove(plan, tmp_path / "m")


def test_a_reply_that_repeats_is_named_by_its_request(server: Replay, http: Http, tmp_path: Path) -> None:
    interface = one_month()
    interface.serve(server)
    again = interface.answer("imports", Asked("GET", "", dict(MONTHLY.plan(http, "2025-01").items[1].params), {}))
    server.misbehave(replay.other(lambda *_: again), path="/imports", times=1, after=3)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    with pytest.raises(IncompletePull, match=r"asked for 2846\*, answered with 2504101000"):
        MONTHLY.prove(plan, tmp_path / "m")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda table: [*table, table[1]], "twice"),
        (lambda table: [row[::-1] for row in table[:1]] + table[1:], "expected|comes twice|is no whole number"),
        (lambda table: [row for row in table if row[1] not in ("2504", "2846", "8505", "8507")], "none of"),
        (lambda table: [table[0]] + [["5700", *row[1:]] for row in table[1:]], "expected those of all countries"),
    ],
)
def test_a_spoilt_list_of_headings_is_refused(
    server: Replay, http: Http, spoil: Callable[[list[list[str]]], object], says: str
) -> None:
    one_month(twice=False).serve(server)
    server.misbehave(changed(spoil, "HS4"), path="/imports")
    with pytest.raises(SourceChanged, match=says):
        MONTHLY.plan(http, "2025-01")


def test_an_unanswered_request_and_a_stray_answer_are_named(server: Replay, http: Http, tmp_path: Path) -> None:
    one_month().serve(server)
    plan = pulled(MONTHLY, http, tmp_path / "m")
    (tmp_path / "m" / "exports-8507.json").rename(tmp_path / "m" / "exports-9999.json")
    with pytest.raises(IncompletePull, match=r"unanswered \['exports-8507.json'\].*\['exports-9999.json'\]"):
        MONTHLY.prove(plan, tmp_path / "m")


@pytest.mark.parametrize(("planted", "says"), [(None, "is not set"), ("unknown", "does not accept it")])
def test_a_missing_or_unknown_key_is_told_with_where_to_get_one(
    server: Replay, http: Http, monkeypatch: pytest.MonkeyPatch, planted: str | None, says: str
) -> None:
    one_month(key=SECRET).serve(server)
    if planted:
        monkeypatch.setenv("ORETRACE_CENSUS_KEY", planted)
    with pytest.raises(KeyRefused, match=rf"{says}.*key_signup") as refused:
        MONTHLY.plan(http, "2025-01")
    assert "unknown" not in str(refused.value)
    assert len(server.asked) == 2
    page = Reply(b"<html><title>Invalid Key</title></html>", kind="text/html")
    server.misbehave(replay.other(lambda *_: page))
    with pytest.raises(KeyRefused, match=says):
        MONTHLY.plan(http, "2025-01")


def test_a_planted_key_is_sent_and_seen_nowhere(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one_month(key=SECRET).serve(server)
    monkeypatch.setenv("ORETRACE_CENSUS_KEY", SECRET)
    for name, value in {"RETRIES": 1, "BACKOFF": 0.01, "READ": 0.3, "PER_SECOND": 1000, "LONGEST_WAIT": 1}.items():
        monkeypatch.setenv(f"ORETRACE_HTTP_{name}", str(value))
    home, errors = Home(tmp_path / "home").create(), []
    caplog.set_level(logging.DEBUG)
    spoilt = [replay.status(503), replay.reset, replay.truncated, replay.silence, replay.status(404), replay.html]
    echo = replay.other(lambda asked, _: Reply(f"error: bad query {asked.query}".encode(), kind="text/plain"))
    for fault in (*spoilt, replay.elsewhere("http://elsewhere.invalid"), echo):
        server.behave()
        server.misbehave(fault, after=2)
        with pytest.raises(OretraceError) as failed:
            fetch(home, "census_monthly", months=["2025-01"], today=date(2025, 4, 1))
        errors.append(str(failed.value))
    server.behave()
    (kept,) = fetch(home, "census_monthly", months=["2025-01"], today=date(2025, 4, 1))
    assert kept.outcome == "kept"
    assert {asked.query.get("key") for asked in server.asked if asked.path.endswith("/hs")} == {SECRET}
    seen = "\n".join([caplog.text, *errors, *(record.getMessage() for record in caplog.records), repr(kept)])
    assert "GET" in caplog.text
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert len(files) > 10
    for form in (SECRET, "s3cr3t", "s3cr3t%2Fkey"):
        assert form not in seen
        assert not [path for path in files if form.encode() in path.read_bytes() or form in path.name]


def test_a_fetched_month_is_kept_once(server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interface = one_month()
    interface.serve(server)
    monkeypatch.setenv("ORETRACE_HTTP_PER_SECOND", "1000")
    home = Home(tmp_path / "home").create()
    today = date(2025, 3, 20)
    assert [item.outcome for item in fetch(home, "census_monthly", today=today)] == ["kept"]
    asked = len(server.asked)
    assert [item.outcome for item in fetch(home, "census_monthly", today=today)] == ["unchanged"]
    assert len(server.asked) == asked + 2
    interface.held[("imports", "2025-01")] = trade("imports", scale=1).with_columns(pl.col("GEN_VAL_MO") * 2)
    (revised,) = fetch(home, "census_monthly", today=today)
    assert revised.vintage is not None
    assert revised.vintage.folder.name == "2025-01-r2"


def test_a_pull_that_does_not_add_up_is_kept_aside(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_month().serve(server)
    monkeypatch.setenv("ORETRACE_HTTP_PER_SECOND", "1000")
    server.misbehave(changed(dearer), path="/imports", times=1, after=2)
    home = Home(tmp_path / "home").create()
    with pytest.raises(IncompletePull, match="does not add up"):
        fetch(home, "census_monthly", months=["2025-01"], today=date(2025, 4, 1))
    assert [path.name for path in (home.raw / "census_monthly").iterdir() if path.is_dir()] == [".rejected-2025-01"]


def test_months_are_due_on_the_first_possible_release_day_of_the_second_month_after() -> None:
    due = MONTHLY.editions
    assert due((), (), date(2025, 3, 3)) == ["2024-12"]
    assert due((), (), date(2025, 3, 4)) == ["2025-01"]
    assert due((), (), date(2026, 1, 8)) == ["2025-11"]
    assert due((), (), date(2026, 2, 1)) == ["2025-11"]
    assert due([2025], (), date(2025, 5, 30)) == ["2025-01", "2025-02", "2025-03"]
    assert due([2024], ["2025-03", "2024-05"], date(2025, 5, 30))[-2:] == ["2024-12", "2025-03"]
    assert len(due([2024], ["2024-05"], date(2025, 5, 30))) == 12


@pytest.mark.parametrize(
    ("years", "months", "says"),
    [
        ((), ["2025-13"], "YYYY-MM"),
        ((), ["2025-1"], "YYYY-MM"),
        ((), ["2025-04"], "2025-03, the newest"),
        ([2026], (), "no edition 2026"),
        ([2009], (), "from 2010"),
    ],
)
def test_a_month_that_cannot_be_is_the_users_mistake(years: list[int], months: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        MONTHLY.editions(years, months, date(2025, 5, 30))


def test_a_year_is_due_when_its_december_is() -> None:
    assert YEARLY.editions((), (), date(2026, 2, 3)) == ["2024"]
    assert YEARLY.editions((), (), date(2026, 2, 4)) == ["2025"]
    assert YEARLY.editions([2024, 2023], (), date(2026, 3, 1)) == ["2023", "2024"]
    for years, months in (([2026], ()), ([2009], ()), ((), ["2025-01"])):
        with pytest.raises(BadInput):
            YEARLY.editions(years, months, date(2026, 3, 1))


def yearly() -> Census:
    return Census({("imports", "2024-12"): trade("imports")})


def test_a_year_keeps_single_countries_and_proves_them_by_the_total(server: Replay, http: Http, tmp_path: Path) -> None:
    yearly().serve(server)
    plan = pulled(YEARLY, http, tmp_path / "y", "2024")
    proof = YEARLY.prove(plan, tmp_path / "y")
    assert proof.rows == 8 * 11
    assert {asked.query["time"] for asked in server.asked} == {"2024-12"}
    table = census.SOURCE.read_vintage(tmp_path / "y", "2024")["raw_census__imports_hs10"]
    made = trade("imports").filter(~pl.col("I_COMMODITY").is_in(["8505200000", "8507100030", "0101210000"]))
    assert table["value_usd"].sum() == made["CON_VAL_YR"].sum()
    assert set(table["country_code"]) == set(made["CTY_CODE"])
    assert table.select("year", "month").unique().rows() == [(2024, 12)]


def off(table: list[list[str]]) -> None:
    next(row for row in table if row[0] == "5700")[table[0].index("CON_VAL_YR")] = "1"


def test_a_year_that_does_not_add_up_is_refused_by_proof_and_reader(server: Replay, http: Http, tmp_path: Path) -> None:
    yearly().serve(server)
    server.misbehave(changed(off), times=1, after=2)
    plan = pulled(YEARLY, http, tmp_path / "y", "2024")
    with pytest.raises(IncompletePull, match="does not add up"):
        YEARLY.prove(plan, tmp_path / "y")
    with pytest.raises(IncompletePull, match="does not add up"):
        census.SOURCE.read_vintage(tmp_path / "y", "2024")
    with pytest.raises(SourceChanged, match="2023-12"):
        census.SOURCE.read_vintage(tmp_path / "y", "2023")


def test_a_fault_in_the_year_is_waited_out_or_told(server: Replay, http: Http, tmp_path: Path) -> None:
    yearly().serve(server)
    server.misbehave(replay.reset, times=1)
    pulled(YEARLY, http, tmp_path / "y", "2024")
    server.misbehave(replay.status(204))
    with pytest.raises(IncompletePull, match="not released imports of 2024-12 yet"):
        YEARLY.plan(http, "2024")


def test_every_name_of_schedule_c_is_a_country_we_know() -> None:
    names = pl.read_csv(REFERENCE / "country_aliases.csv").filter(pl.col("source").str.starts_with("US Census"))
    codes = pl.read_csv(REFERENCE / "census_countries.csv", infer_schema=False)
    mapped = with_iso3(names.rename({"iso3": "meant"}), "alias")
    assert mapped["iso3"].to_list() == mapped["meant"].to_list()
    assert set(mapped["iso3"]) <= set(countries()["iso3"])
    assert set(mapped["iso3"]) <= set(codes["iso3"])


def test_the_real_year_comes_through_the_interface_as_through_the_files(
    server: Replay, http: Http, tmp_path: Path, shared_data: Path
) -> None:
    folder = shared_data / "census" / "imports_hs10_2024"
    real_year(folder).serve(server)
    plan = pulled(YEARLY, http, tmp_path / "y", "2024")
    YEARLY.prove(plan, tmp_path / "y")
    table = "raw_census__imports_hs10"
    live, filed = (census.SOURCE.read_vintage(path, "2024")[table] for path in (tmp_path / "y", folder))
    assert live.equals(filed.filter(pl.col("country_code") != "0003"))
    magnets = live.filter(country_code="5700", hs10="8505110070")
    assert magnets["value_usd"].item() == 203_871_334
    assert live.filter(pl.col("hs10").str.starts_with("2846"), country_code="5700")["value_usd"].sum() == 112_736_288


def test_a_real_month_of_exports_comes_through_the_interface_as_through_the_series(
    server: Replay, http: Http, tmp_path: Path, shared_data: Path
) -> None:
    folder, month = shared_data / "census" / "exports_hs10_monthly", "2025-03"
    Census({("imports", month): trade("imports"), ("exports", month): real_exports(folder, month)}).serve(server)
    plan = pulled(MONTHLY, http, tmp_path / "m", month)
    MONTHLY.prove(plan, tmp_path / "m")
    live = census_monthly.SOURCE.read_vintage(tmp_path / "m", month)["raw_census_monthly__trade"]
    real = real_exports(folder, month).filter(pl.col("E_COMMODITY").str.slice(0, 6).is_in(sorted(census.used_codes())))
    exports = live.filter(pl.col("country_code").is_in(["4190", "5520"]), flow="X")
    assert real.height > 50
    assert exports.height == real.height
    assert exports["value_usd"].sum() == real["ALL_VAL_MO"].sum()
