"""Answers that are whole JSON but mean nothing: each client tells them in one clear error, never a stack trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.clients import baci, bgs, census_api, usgs_mcs, worldbank
from ingest.clients.census_monthly import CLIENT as MONTHLY
from ingest.clients.comtrade import Comtrade
from ingest.errors import IncompletePull, OretraceError, SourceChanged
from ingest.fetch import fetch
from ingest.home import Home
from ingest.net.session import Http
from ingest.sources import bgs as bgs_reader
from ingest.sources import comtrade as comtrade_reader
from ingest.sources import worldbank as worldbank_reader
from ingest.sources.census_replies import table_of, whole
from tests.publishers import bgs as bgs_publisher
from tests.publishers import comtrade as comtrade_publisher
from tests.publishers import sciencebase, world_bank
from tests.publishers.census import PATH as CENSUS
from tests.publishers.census import one_month
from tests.publishers.transport import QUICK, fetched
from tests.replay import Asked, Replay, Reply, other

Change = Callable[[Any], Any]
GDP = "NY.GDP.MKTP.CD"
SERIES = {GDP: [("CHL", year, 1e9 + year) for year in range(2020, 2024)]}
RELEASE = {"Mineral Commodity Summaries 2026 Data Release": {"a.csv": b"a,b\n1,2\n"}}
# Deep enough for any parser to give up.
DEEP = b"[" * 100_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    with Replay() as replay:
        for source in ("COMTRADE", "BGS", "USGS_MCS", "BACI"):
            monkeypatch.setenv(f"ORETRACE_URL_{source}", replay.url)
            monkeypatch.delenv(f"ORETRACE_{source}_KEY", raising=False)
        monkeypatch.setenv("ORETRACE_URL_WORLDBANK", f"{replay.url}/v2")
        monkeypatch.setenv("ORETRACE_URL_CENSUS_MONTHLY", replay.url + CENSUS)
        monkeypatch.delenv("ORETRACE_CENSUS_KEY", raising=False)
        monkeypatch.setattr(bgs, "commodities", lambda: ["copper, mine"])
        yield replay


def spoilt(change: Change) -> Any:
    """Change the parsed answer."""

    def alter(_: Asked, reply: Reply) -> Reply:
        assert isinstance(reply.body, bytes)
        return Reply(json.dumps(change(json.loads(reply.body))).encode())

    return other(alter)


def put(value: Any, *place: Any) -> Change:
    """Set a value at a place of the answer."""

    def change(content: Any) -> Any:
        inner = content
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        return content

    return change


def told(error: pytest.ExceptionInfo[OretraceError]) -> None:
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1200


DELIVERY = [
    *([None], [1], ["x"], [[]], {}, None),
    *([{"period": odd, "reporterCode": 1}] for odd in (None, "x", [], 2e300, True, "20230")),
    *([{"period": 2023, "reporterCode": odd}] for odd in (None, "x", -1, 10**12, {})),
]


@pytest.mark.parametrize("data", DELIVERY, ids=str)
def test_a_list_of_what_was_delivered_that_comtrade_spoils_is_one_error(
    server: Replay, tmp_path: Path, data: object
) -> None:
    comtrade_publisher.Publisher([comtrade_publisher.row(156, 0, "283691", "M", 1.0)]).serve(server)
    server.misbehave(spoilt(put(data, "data")), path="getDA")
    with pytest.raises((SourceChanged, IncompletePull), match="getDA") as error:
        fetched(Comtrade(codes=["283691"]), tmp_path, "2023")
    told(error)


@pytest.mark.parametrize("results", [None, [None], [{"reporterCode": None}], [{"reporterCode": 1e999}], "x"], ids=str)
def test_a_list_of_reporters_that_comtrade_spoils_is_one_error(server: Replay, tmp_path: Path, results: object) -> None:
    comtrade_publisher.Publisher([comtrade_publisher.row(156, 0, "283691", "M", 1.0)]).serve(server)
    server.misbehave(spoilt(put(results, "results")), path="Reporters")
    with pytest.raises(SourceChanged, match=r"Reporters\.json") as error:
        fetched(Comtrade(codes=["283691"]), tmp_path, "2023")
    told(error)


PAGES: dict[str, Change] = {
    "a null": lambda _: None,
    "a head that is null": put(None, 0),
    "a head that is a list": put([], 0),
    "a message that is null": put({"message": [None]}, 0),
    "a count of text": put("x", 0, "total"),
    "a count below zero": put(-1, 0, "total"),
    "a count without end": put(float("inf"), 0, "total"),
    "more rows than there can be": put(10**12, 0, "total"),
    "a day that is a path": put("../../x", 0, "lastupdated"),
    "rows that are an object": put({}, 1),
    "a row that is null": put(None, 1, 0),
    "a row that is a number": put(1, 1, 0),
    "a row that is a list": put([], 1, 0),
    "an indicator that is null": put(None, 1, 0, "indicator"),
    "an indicator without id": put({}, 1, 0, "indicator"),
    "a country that is text": put("CHL", 1, 0, "country"),
    "a code that is a number": put(5, 1, 0, "countryiso3code"),
    "a date that is null": put(None, 1, 0, "date"),
    "a figure that is true": put(True, 1, 0, "value"),
    "a figure that is no number": put(float("nan"), 1, 0, "value"),
    "a figure without end": put(float("inf"), 1, 0, "value"),
    "a figure that no computer holds": put(10**400, 1, 0, "value"),
}


@pytest.mark.parametrize("after", [0, 1], ids=["head", "page"])
@pytest.mark.parametrize("change", PAGES.values(), ids=PAGES)
def test_a_page_that_the_world_bank_spoils_is_one_error(
    server: Replay, tmp_path: Path, change: Change, after: int
) -> None:
    world_bank.serve(server, SERIES)
    server.misbehave(spoilt(change), after=after)
    with pytest.raises((SourceChanged, IncompletePull)) as error:
        fetched(worldbank.CLIENT, tmp_path)
    told(error)


@pytest.mark.parametrize("change", [put("2²", 1, 0, "date"), put("\ud800", 1, 0, "countryiso3code")])
def test_a_kept_page_with_a_year_or_code_that_is_none_is_not_read(tmp_path: Path, change: Change) -> None:
    head = {"page": 1, "pages": 1, "total": 1, "lastupdated": "2025-07-01"}
    path = tmp_path / "page-0001.json"
    path.write_text(json.dumps(change([head, [world_bank.row(GDP, "CHL", 2020, 1.0)]])), encoding="utf-8")
    with pytest.raises(SourceChanged):
        worldbank_reader.read_pages([path], GDP)


LISTINGS: dict[str, Change] = {
    "items that are null": put(None, "items"),
    "an item that is null": put([None], "items"),
    "an item that is a list": put([[]], "items"),
    "an item without id": put(None, "items", 0, "id"),
    "an item that is a path": put("../x", "items", 0, "id"),
    "a total below zero": put(-1, "total"),
}
FILES: dict[str, Change] = {
    "files that are an object": put({}, "files"),
    "a file that is null": put([None], "files"),
    "a file that is text": put(["x"], "files"),
    "an address that is none": put("https://[::1/x", "files", 0, "downloadUri"),
    "an address that is a list": put([1], "files", 0, "downloadUri"),
    "a name of 300 characters": put("x" * 300, "files", 0, "name"),
    "a name of 300 bytes": put("é" * 150, "files", 0, "name"),
    "a name with half a character": put("\ud800.csv", "files", 0, "name"),
    "a size that is true": put(True, "files", 0, "size"),
    "a size beyond all disks": put(10**400, "files", 0, "size"),
    "a null": lambda _: None,
}


@pytest.mark.parametrize(
    ("path", "change"),
    [*(("/catalog/items", one) for one in LISTINGS.values()), *(("/catalog/item/", one) for one in FILES.values())],
    ids=[*LISTINGS, *FILES],
)
def test_a_listing_that_sciencebase_spoils_is_one_error(
    server: Replay, tmp_path: Path, path: str, change: Change
) -> None:
    sciencebase.serve(server, RELEASE)
    server.misbehave(spoilt(change), path=path)
    with pytest.raises((SourceChanged, IncompletePull)) as error:
        fetched(usgs_mcs.CLIENT, tmp_path)
    told(error)
    assert not list(tmp_path.iterdir())


COLLECTIONS: dict[str, Change] = {
    "a null": lambda _: None,
    "a list": lambda _: [],
    "a number below zero": put(-1, "numberMatched"),
    "a number that is true": put(True, "numberMatched"),
    "more features than there can be": put(10**12, "numberMatched"),
    "features that are null": put(None, "features"),
    "no features": put([], "features"),
    "a feature that is null": put([None], "features"),
    "a feature that is a number": put([1], "features"),
    "properties that are null": put([{"properties": None}], "features"),
    "a year that is null": put(None, "features", 0, "properties", "year"),
    "a year that is text": put("soon", "features", 0, "properties", "year"),
}


@pytest.mark.parametrize("after", [0, 1], ids=["count", "page"])
@pytest.mark.parametrize("change", COLLECTIONS.values(), ids=COLLECTIONS)
def test_a_collection_that_the_bgs_spoils_is_one_error(
    server: Replay, tmp_path: Path, change: Change, after: int
) -> None:
    bgs_publisher.serve(server, bgs_publisher.made_up())
    server.misbehave(spoilt(change), after=after)
    with pytest.raises((SourceChanged, IncompletePull)) as error:
        fetched(bgs.CLIENT, tmp_path)
    told(error)


def test_a_number_below_zero_is_a_change_of_the_source_and_no_mistake_of_the_user(
    server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PER_SECOND": "1000", "BACKOFF": "0.01", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"ORETRACE_HTTP_{name}", value)
    bgs_publisher.serve(server, bgs_publisher.made_up())
    server.misbehave(spoilt(put(-1, "numberMatched")))
    with pytest.raises(SourceChanged, match="expected numberMatched"):
        fetch(Home(tmp_path).create(), "bgs")


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"features": null}',
        b'{"features": {"a": 1}}',
        b'{"features": [null]}',
        DEEP,
    ],
    ids=lambda content: content[:30].decode(),
)
def test_a_kept_page_of_the_bgs_that_is_none_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "features-0001.json").write_bytes(content)
    with pytest.raises(SourceChanged):
        bgs_reader.read(tmp_path, "2023")


@pytest.mark.parametrize(
    ("name", "value"),
    [("quantity", float("inf")), ("quantity", True), ("quantity", [1]), ("year", "20"), ("units", "\ud800")],
)
def test_a_kept_feature_of_the_bgs_with_a_figure_that_is_none_is_not_read(
    tmp_path: Path, name: str, value: object
) -> None:
    feature = {"properties": bgs_publisher.made_up()[0] | {name: value}}
    (tmp_path / "features-0001.json").write_text(json.dumps({"features": [feature]}), encoding="utf-8")
    with pytest.raises(SourceChanged) as error:
        bgs_reader.read(tmp_path, "2023")
    told(error)


TABLES: dict[str, Change] = {
    "a null": lambda _: None,
    "a number": lambda _: 1,
    "an object": lambda _: {"a": 1},
    "nothing": lambda _: [],
    "a header that is null": put(None, 0),
    "a header with a list": put([1], 0, 0),
    "a row that is null": put(None, 1),
    "a row that is text": lambda table: [table[0], "x" * len(table[0])],
    "a row that is an object": put({}, 1),
    "a value that is a number": put(1, 1, 0),
    "a value that is a list": put([1], 1, 0),
    "a value that is no character": put("\ud800", 1, 0),
    "a value that no computer holds": put(10**400, 1, 0),
}


@pytest.mark.parametrize("change", TABLES.values(), ids=TABLES)
def test_a_table_that_census_spoils_is_one_error(server: Replay, change: Change) -> None:
    one_month().serve(server)
    server.misbehave(spoilt(change))
    with Http(key=census_api.KEY, settings=QUICK) as http, pytest.raises((SourceChanged, IncompletePull)) as error:
        MONTHLY.plan(http, "2025-01")
    told(error)


@pytest.mark.parametrize("figure", ["٣", "9" * 30, "-", "1e5", "NaN", "--1"])
def test_a_census_figure_that_is_no_plain_number_is_named(figure: str) -> None:
    for blank in ((), ("usd",)):
        with pytest.raises(SourceChanged, match=r"usd .* is no whole number"):
            whole(pl.DataFrame({"usd": [figure]}), ["usd"], "here", blank=blank)


@pytest.mark.parametrize(
    "read", [lambda text: table_of(text, ["a"], "x"), lambda text: reply_rows(text)], ids=["census", "comtrade"]
)
def test_an_answer_nested_without_end_is_one_error(read: Callable[[str], object]) -> None:
    with pytest.raises(SourceChanged):
        read(DEEP.decode())


def reply_rows(text: str) -> object:
    return comtrade_reader.reply_rows(text, "x")


@pytest.mark.parametrize(
    ("client", "path"),
    [
        (Comtrade(codes=["283691"]), "/"),
        (worldbank.CLIENT, "/"),
        (usgs_mcs.CLIENT, "/"),
        (bgs.CLIENT, "/"),
        (MONTHLY, "/"),
    ],
    ids=lambda value: getattr(value, "source", ""),
)
def test_every_client_tells_an_answer_nested_without_end(
    server: Replay, tmp_path: Path, client: Any, path: str
) -> None:
    server.on(path, lambda _: Reply(DEEP))
    edition = {"comtrade": "2023", "census_monthly": "2025-01"}.get(client.source)
    with pytest.raises(OretraceError, match="JSON") as error:
        fetched(client, tmp_path, edition)
    told(error)


def test_a_link_of_cepii_that_is_no_address_is_passed_over(server: Replay) -> None:
    page = b"<html><a href='https://[::1/BACI_HS17_V202601.zip'>x</a></html>"
    server.on("/", lambda _: Reply(page, kind="text/html"))
    with Http(settings=QUICK) as http, pytest.raises(SourceChanged, match="no link to a BACI_HS17"):
        baci.CLIENT.plan(http, None)


def test_a_length_of_odd_digits_is_no_length(server: Replay) -> None:
    page = b"<html><a href='https://www.cepii.fr/BACI_HS17_V202601.zip'>x</a></html>"
    server.on("/", lambda _: Reply(page, kind="text/html"))
    with Http(settings=QUICK) as http:
        plan = _with_length(http, "\xb2")
    assert plan.items[0].size is None


def _with_length(http: Http, length: str) -> Any:
    # No server can be made to send such a length, because its own library refuses it.
    http.head = lambda _: {"content-length": length}  # type: ignore[method-assign]
    return baci.CLIENT.plan(http, None)
