"""UN Comtrade over HTTP against a publisher on loopback: a whole year, or one clear error."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.clients import comtrade as client_module
from ingest.clients.base import Plan, Proof
from ingest.clients.comtrade import Comtrade
from ingest.clients.comtrade_requests import Endpoint
from ingest.errors import FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.net.session import Http, Settings
from ingest.sources import baci, comtrade, sources
from ingest.transforms import stage_flow, trade_flow
from tests import replay
from tests.publishers.comtrade import Publisher, envelope, from_table, recorded, row, with_world
from tests.replay import Asked, Replay, Reply

FAST = Settings(connect=2, read=3, total=5, retries=2, backoff=0.01, longest_wait=0.05, per_second=1000)
IMPATIENT = dataclasses.replace(FAST, read=0.2, total=0.3, retries=1)
CODES = ("283691", "284690")
DATA = "/public/v1/preview"


def small() -> list[dict[str, Any]]:
    """Two codes, both flows, five reporters that trade with each other."""
    there = (56, 152, 156, 392, 842)
    return with_world(
        row(reporter, partner, code, flow, 1000.0 * reporter + partner, 10.0)
        for code in CODES
        for flow in ("M", "X")
        for reporter in there
        for partner in there
        if reporter != partner
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    with Replay() as running:
        monkeypatch.setenv("ORETRACE_URL_COMTRADE", running.url)
        monkeypatch.delenv("ORETRACE_COMTRADE_KEY", raising=False)
        yield running


def pull(
    folder: Path, client: Comtrade | None = None, edition: str | None = "2023", patience: Settings = FAST
) -> tuple[Plan, Proof]:
    client = client or Comtrade(codes=CODES)
    with Http(per_second=1000, key=client.key, settings=patience) as http:
        plan = client.plan(http, edition)
        client.pull(http, plan, folder)
    return plan, client.prove(plan, folder)


def read(folder: Path, edition: str = "2023") -> pl.DataFrame:
    return comtrade.SOURCE.read_vintage(folder, edition)[comtrade.TABLE]


def asked(server: Replay, path: str = DATA) -> list[Asked]:
    return [one for one in server.asked if one.path.startswith(path)]


def changed(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], **more: Any) -> replay.Fault:
    def alter(_: Asked, reply: Reply) -> Reply:
        assert isinstance(reply.body, bytes)
        return envelope(change(json.loads(reply.body)["data"]), **more)

    return replay.other(alter)


def overflowing(_: Asked, reply: Reply) -> Reply:
    assert isinstance(reply.body, bytes)
    return dataclasses.replace(reply, body=reply.body.replace(b'"netWgt": 10.0', b'"netWgt": 1e400'))


def each(**values: Any) -> replay.Fault:
    """Change every row."""
    return changed(lambda rows: [one | values for one in rows])


def alone(**values: Any) -> replay.Fault:
    """Answer with one row, changed."""
    return changed(lambda rows: [rows[-1] | values])


def test_every_recorded_year_of_chinese_imports_of_2846_is_read_and_adds_up(
    server: Replay, shared_data: Path, tmp_path: Path
) -> None:
    recorded(shared_data / "comtrade" / "china_2846_preview", server)
    client = Comtrade(codes=("2846",), reporters=(156,), flows=("M",))
    totals = {}
    for year in range(1993, 2025):
        _, proof = pull(tmp_path / str(year), client, str(year))
        trade = read(tmp_path / str(year), str(year))
        world = trade.filter(pl.col("partner_m49") == 0)["value_usd"].item()
        assert trade.filter(pl.col("partner_m49") != 0)["value_usd"].sum() == world
        assert proof.rows == trade.height
        kept = tmp_path / str(year) / "M" / "2846" / "156.json"
        assert kept.read_bytes() == (shared_data / "comtrade" / "china_2846_preview" / f"{year}.json").read_bytes()
        totals[year] = world
    assert len(totals) == 32
    assert totals[2024] == 1_386_613_152


def test_a_year_of_many_reporters_becomes_trade_that_agrees_with_baci(
    server: Replay, shared_data: Path, tmp_path: Path
) -> None:
    codes = ("283691", "750210", "811231", "811292", "850511")
    Publisher(from_table(shared_data / "comtrade" / "multi_reporter" / "comtrade_2022.csv.gz", codes)).serve(server)
    _, proof = pull(tmp_path, Comtrade(codes=codes), "2022")
    raw = read(tmp_path, "2022")
    assert proof.rows == raw.height
    assert len(asked(server)) > 30, "the preview holds 500 rows, so larger answers are split"

    empty = {
        table: pl.DataFrame(schema=dict(schema))
        for name in ("baci", "usitc", "census")
        for table, schema in sources()[name].tables.items()
    }
    trade, dropped = trade_flow.build(empty | {comtrade.TABLE: raw})
    assert set(trade.select("flow", "scope", "hs_edition", "evidence").unique().rows()) == {
        ("R", "all_pairs", "HS2017", "estimated")
    }
    assert sorted(trade["hs_code"].unique()) == ["283691", "750210", "811292", "850511"], "811231 is new in HS2022"
    assert {"partner: World", "partner: area not elsewhere specified"} <= set(dropped["reason"])
    assert trade.filter(pl.col("value_low_usd") > pl.col("value_usd")).is_empty()
    assert trade.filter(pl.col("value_high_usd") < pl.col("value_usd")).is_empty()

    theirs = baci.all_pairs_value(shared_data / "baci" / "extract" / "baci_2022.csv")
    # 811292 of HS2017 holds more codes of HS2022 than the file does, so its level cannot agree.
    same = ("283691", "750210", "850511")
    theirs = theirs.filter(pl.col("hs_code").is_in(same) & (pl.col("exporter") != pl.col("importer")))
    both = theirs.group_by("hs_code").agg(baci=pl.col("value_usd").sum())
    both = both.join(trade.group_by("hs_code").agg(ours=pl.col("value_usd").sum()), on="hs_code")
    ratio = both.select(pl.col("ours") / pl.col("baci")).to_series()
    assert both.height == 3
    assert ratio.is_between(0.9, 1.2).all(), both
    assert ratio.median() == pytest.approx(1.0, abs=0.05)

    flows, _ = stage_flow.build({"trade_flow": trade})
    lithium = flows.filter(material="lithium", stage="compound")
    share = lithium.filter(exporter="CHL", importer="CHN")["quantity_t"].sum() / lithium["quantity_t"].sum()
    assert 0.3 < share < 0.7, "Chile to China was about half of the world's lithium carbonate trade in 2022"
    assert lithium.select((pl.col("quantity_t_low") <= pl.col("quantity_t")).all()).item()


def test_a_request_asks_for_totals_only_so_that_no_breakdown_row_comes(server: Replay, tmp_path: Path) -> None:
    parts = [{**one, "motCode": 2100, "primaryValue": one["primaryValue"] / 2} for one in small()]
    Publisher(small() + parts).serve(server)
    _, proof = pull(tmp_path)
    assert proof.rows == len(small())
    assert {tuple(one.query[name] for name in ("partner2Code", "customsCode", "motCode")) for one in asked(server)} == {
        ("0", "C00", "0")
    }


def test_a_truncated_answer_is_split_by_reporter_and_nothing_is_lost(server: Replay, tmp_path: Path) -> None:
    there = range(1, 61)
    rows = with_world(row(r, p, "283691", "M", 1e5 + r * p, 1.0) for r in there for p in there if r != p)
    Publisher(rows).serve(server)
    client = Comtrade(codes=("283691",), flows=("M",))
    _, proof = pull(tmp_path, client)
    assert proof.rows == len(rows) == 3600
    assert not list(tmp_path.rglob(".*")), "no marks stay behind"
    assert client.fingerprint(tmp_path)


def test_an_answer_at_the_limit_that_cannot_be_split_is_refused(server: Replay, tmp_path: Path) -> None:
    Publisher(with_world(row(156, partner, "283691", "M", 5.0) for partner in range(1, 500))).serve(server)
    with pytest.raises(IncompletePull, match="500 rows, as many as one reply holds"):
        pull(tmp_path, Comtrade(codes=("283691",), flows=("M",)))


def test_with_a_key_codes_are_asked_for_together_and_split_where_truncated(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORETRACE_COMTRADE_KEY", "right")
    monkeypatch.setattr(client_module, "KEYED", Endpoint(client_module.KEYED.path, 40, 16))
    Publisher(small()).serve(server)
    plan, proof = pull(tmp_path)
    assert proof.rows == len(small())
    assert not asked(server)
    first = asked(server, "/data/v1/get")[0]
    assert (first.query["cmdCode"], first.headers["ocp-apim-subscription-key"]) == ("283691,284690", "right")
    assert (tmp_path / "M" / "283691" / "all.json").exists()
    assert "right" not in json.dumps([dict(item.params) for item in plan.items])


def test_a_wrong_key_is_an_error_and_not_a_reason_to_use_the_preview(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORETRACE_COMTRADE_KEY", "planted-and-wrong")
    Publisher(small()).serve(server)
    with pytest.raises(KeyRefused, match="ORETRACE_COMTRADE_KEY is set, but not accepted") as caught:
        pull(tmp_path)
    assert "planted" not in str(caught.value)
    assert not asked(server)


PASSING = {
    "429 with Retry-After": replay.status(429, Retry_After="1"),
    "500": replay.status(500),
    "reset in mid-body": replay.reset,
    "truncated JSON": replay.truncated,
    "wrong length": replay.long_length,
    "broken gzip": replay.broken_gzip,
    "html": replay.html,
    "204": replay.status(204),
    "empty data": changed(lambda _: []),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_leaves_a_whole_year(server: Replay, tmp_path: Path, fault: replay.Fault) -> None:
    Publisher(small()).serve(server)
    server.misbehave(fault, path=DATA, times=1, after=1)
    _, proof = pull(tmp_path)
    assert proof.rows == len(small())


LASTING = {
    "503": (replay.status(503), FetchFailed, "status 503 after 2 retries"),
    "reset in mid-body": (replay.reset, FetchFailed, "broke off"),
    "truncated JSON": (replay.truncated, FetchFailed, "not whole JSON"),
    "wrong length": (replay.long_length, FetchFailed, "broke off"),
    "broken gzip": (replay.broken_gzip, FetchFailed, "No vintage was made"),
    "html": (replay.html, FetchFailed, "not whole JSON"),
    "403": (replay.status(403), KeyRefused, "ORETRACE_COMTRADE_KEY is not set"),
    "204 for the whole year": (replay.status(204), IncompletePull, "the year is not out"),
    "no data for the whole year": (changed(lambda _: []), IncompletePull, "the year is not out"),
    "another host": (replay.elsewhere("http://example.invalid"), SourceChanged, "another host"),
    "a count that does not match": (changed(lambda rows: rows, count=7), IncompletePull, "counts 7 rows, 25 came"),
    "a row that repeats": (changed(lambda rows: [*rows, rows[-1]]), IncompletePull, "a row repeats: code 283691"),
    "a partner that is missing": (changed(lambda rows: rows[:-1]), IncompletePull, "do not add up to World"),
    "World that is missing": (
        changed(lambda rows: [one for one in rows if one["partnerCode"]]),
        IncompletePull,
        "without a World row",
    ),
    "an error in the envelope": (changed(lambda rows: rows, error="period is invalid"), FetchFailed, "period is inv"),
    "an envelope with more": (changed(lambda rows: rows, page=1), SourceChanged, "'page'"),
    "a new column": (each(portCode=1), SourceChanged, r"new columns \['portCode'\]"),
    "text for a number": (each(primaryValue="12"), SourceChanged, r"primaryValue holds \['str'\]"),
    "NaN": (each(netWgt=float("nan")), SourceChanged, r"M/283691/all\.json: not JSON \(it holds NaN"),
    "infinity": (each(primaryValue=float("inf")), SourceChanged, "not JSON .it holds Infinity"),
    "a value that no computer holds": (each(primaryValue=10**400), SourceChanged, "primaryValue holds 1000.*finite"),
    "a weight that no computer holds": (each(netWgt=10**400), SourceChanged, "netWgt holds 1000"),
    "a number read as infinity": (replay.other(overflowing), SourceChanged, "netWgt holds inf"),
    "a negative value": (each(primaryValue=-5.0), SourceChanged, "primaryValue holds -5.0"),
    "a negative weight": (each(netWgt=-3.0), SourceChanged, "netWgt holds -3.0"),
    "a partner beyond all codes": (alone(partnerCode=10**12), SourceChanged, "partnerCode holds 1000000000000"),
    "a partner that is true": (alone(partnerCode=True), SourceChanged, r"partnerCode holds \['bool'\]"),
    "a list for a code": (each(reporterCode=[1]), SourceChanged, r"\['reporterCode'\] hold more than one value"),
    "an object where nothing is read": (each(mosCode={}), SourceChanged, r"\['mosCode'\] hold more than one"),
    "half a character": (each(qtyUnitAbbr="\ud800"), SourceChanged, "no text"),
    "rows that are null": (changed(lambda _: [None], count=1), SourceChanged, "missing columns"),
    "no value": (each(primaryValue=None), IncompletePull, "a flow without a value"),
    "another year": (each(refYear=2022), IncompletePull, "asked for refYear 2023, a row came with 2022"),
    "an unknown reporter": (each(reporterCode=999), SourceChanged, "reporter 999"),
    "an unknown HS edition": (each(classificationCode="H9"), OretraceError, "'H9'"),
}


@pytest.mark.parametrize(("fault", "error", "message"), LASTING.values(), ids=LASTING)
def test_a_fault_that_lasts_is_one_clear_error(
    server: Replay, tmp_path: Path, fault: replay.Fault, error: type[OretraceError], message: str
) -> None:
    Publisher(small()).serve(server)
    server.misbehave(fault, path=DATA)
    with pytest.raises(error, match=message):
        pull(tmp_path)


@pytest.mark.parametrize("fault", [replay.silence, replay.drip])
def test_a_publisher_that_hangs_ends_at_the_time_limit(server: Replay, tmp_path: Path, fault: replay.Fault) -> None:
    Publisher(small()).serve(server)
    server.misbehave(fault, path=DATA)
    began = time.monotonic()
    with pytest.raises(FetchFailed):
        pull(tmp_path, patience=IMPATIENT)
    assert time.monotonic() - began < 3
    assert not list(tmp_path.rglob("*/*.json"))


def test_a_page_of_another_request_is_refused(server: Replay, tmp_path: Path) -> None:
    publisher = Publisher(small())
    publisher.serve(server)
    first = [one for one in small() if (one["cmdCode"], one["flowCode"]) == (CODES[0], "M")]
    server.misbehave(changed(lambda _: first), path=DATA)
    with pytest.raises(IncompletePull, match="asked for cmdCode 284690, a row came with '283691'"):
        pull(tmp_path)


def test_a_pull_that_broke_goes_on_where_it_stopped(server: Replay, tmp_path: Path) -> None:
    there = range(1, 41)
    rows = with_world(row(r, p, "283691", "M", 1e5, 1.0) for r in there for p in there if r != p)
    Publisher(rows).serve(server)
    client = Comtrade(codes=("283691",), flows=("M",))
    server.misbehave(replay.status(404), path=DATA, after=4)
    with pytest.raises(SourceChanged):
        pull(tmp_path, client)
    before = {path: path.stat().st_mtime_ns for path in comtrade.replies(tmp_path)}
    sent = [one.query for one in asked(server)]
    server.behave()
    server.asked.clear()
    _, proof = pull(tmp_path, client)
    again = [one.query for one in asked(server)]
    assert proof.rows == len(rows)
    assert before
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert not [query for query in again if query in sent[:-1]], (
        "neither a whole nor a truncated answer is asked for twice"
    )


def test_a_reply_that_is_lost_or_that_nothing_explains_is_seen_by_the_proof(server: Replay, tmp_path: Path) -> None:
    Publisher(small()).serve(server)
    client = Comtrade(codes=CODES)
    plan, _ = pull(tmp_path, client)
    kept = tmp_path / "X" / "284690" / "all.json"
    text = kept.read_text()
    kept.unlink()
    with pytest.raises(IncompletePull, match=r"no reply to X/284690/"):
        client.prove(plan, tmp_path)
    kept.write_text(text)
    (tmp_path / "X" / "999999.json").write_text(text)
    with pytest.raises(SourceChanged, match=r"no request explains: X/999999\.json"):
        client.prove(plan, tmp_path)


def test_the_same_rows_have_one_fingerprint_however_they_were_asked_for(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Publisher(small()).serve(server)
    pull(tmp_path / "a")
    server.misbehave(changed(lambda rows: rows[::-1], elapsedTime="9 secs"), path=DATA)
    pull(tmp_path / "b")
    server.behave()
    monkeypatch.setenv("ORETRACE_COMTRADE_KEY", "right")
    pull(tmp_path / "c")
    prints = {Comtrade().fingerprint(tmp_path / name) for name in "abc"}
    assert len(prints) == 1
    server.misbehave(changed(lambda rows: [one | {"netWgt": 11.0} for one in rows]), path="/data/v1/get")
    pull(tmp_path / "d")
    assert Comtrade().fingerprint(tmp_path / "d") not in prints


def test_the_state_tells_what_is_asked_for_and_what_was_delivered(server: Replay) -> None:
    Publisher(small()).serve(server)

    def state(**asked: Any) -> str | None:
        with Http(per_second=1000, settings=FAST) as http:
            return Comtrade(**asked).plan(http, "2023").state

    kept = state(codes=CODES)
    assert kept == state(codes=[*CODES[::-1], CODES[0]], flows=("X", "M"))
    grown = state(codes=(*CODES, "260300"))
    fewer = state(codes=CODES, reporters=(56, 152))
    listed = (56, 152, 156, 392, 842)
    assert len({kept, grown, fewer, state(codes=CODES, flows=("M",)), state(codes=CODES, reporters=listed)}) == 5
    server.misbehave(each(datasetChecksum=2), path="getDA")
    assert state(codes=CODES) != kept


def test_the_newest_year_is_the_one_that_nearly_all_reporters_have_delivered(
    server: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_this_year", lambda: 2026)
    rows = [row(r, 0, "283691", "M", 1.0, year=2023) for r in range(1, 21)]
    rows += [row(r, 0, "283691", "M", 1.0, year=2024) for r in range(1, 17)]
    rows += [row(r, 0, "283691", "M", 1.0, year=2025) for r in range(1, 9)]
    Publisher(rows).serve(server)
    with Http(per_second=1000, settings=FAST) as http:
        plan = Comtrade().plan(http, None)
        assert plan.edition == "2024"
        assert plan.state != Comtrade().plan(http, "2023").state
        assert plan.state == Comtrade().plan(http, "2024").state
        monkeypatch.setenv("ORETRACE_COMTRADE_KEY", "right")
        assert plan.state == Comtrade().plan(http, "2024").state, "the same rows come with a key and without"
        with pytest.raises(IncompletePull, match="no reporter has delivered this year"):
            Comtrade().plan(http, "2019")
