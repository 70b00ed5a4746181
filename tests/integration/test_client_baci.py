"""From CEPII comes a whole release of BACI, continued where it broke off, or one clear error and no vintage."""

from __future__ import annotations

import random
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.clients.baci import CLIENT
from ingest.errors import BadInput, FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.fetch import fetch
from ingest.home import Home
from ingest.net.session import Http, Settings
from ingest.sources import baci
from tests import replay
from tests.publishers.baci import FOLDER, YEARS, page, real_release, release, serve
from tests.replay import Asked, Fault, Handler, Replay, Reply

PATIENCE = Settings(connect=1, read=0.3, total=0.4, retries=2, backoff=0.01, longest_wait=1, per_second=1000)
NAME = "BACI_HS17_V202601.zip"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    # Headers and body are two packets; waiting for the first one's receipt costs 40 ms a request.
    monkeypatch.setattr(replay.Handler, "disable_nagle_algorithm", True)
    with Replay() as publisher:
        monkeypatch.setenv("ORETRACE_URL_BACI", publisher.url)
        for name, value in vars(PATIENCE).items():
            monkeypatch.setenv(f"ORETRACE_HTTP_{name.upper()}", str(value))
        yield publisher


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(settings=PATIENCE, hosts=CLIENT.hosts) as session:
        yield session


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """A release of several chunks, so that half of it is a part that can be continued."""
    noise = random.Random(1).randbytes(150_000).hex()  # noqa: S311
    return release(tmp_path / "cepii", replaced={"Readme.txt": noise})


def downloads(server: Replay) -> list[Asked]:
    return [asked for asked in server.asked if asked.path.endswith(".zip") and asked.method == "GET"]


def test_the_newest_release_is_found_brought_and_proven(
    server: Replay, http: Http, tmp_path: Path, zipped: Path
) -> None:
    serve(server, {"V202601": zipped, "V202501": zipped})
    plan = CLIENT.plan(http, None)
    assert (plan.edition, plan.items[0].path, plan.items[0].size) == ("V202601", NAME, zipped.stat().st_size)
    assert not downloads(server)
    CLIENT.pull(http, plan, tmp_path / "v")
    assert (tmp_path / "v" / NAME).read_bytes() == zipped.read_bytes()
    proof = CLIENT.prove(plan, tmp_path / "v")
    assert proof.rows == 2 * len(YEARS)
    assert proof.checks[0] == f"{zipped.stat().st_size:,} bytes as listed, {len(YEARS) + 3} members"
    assert "8 years 2017-2024, 16 rows" in proof.checks


@pytest.mark.parametrize(
    ("edition", "found"),
    [(None, "V202601"), ("2024", "V202401b"), ("2025", "V202501"), ("V202401", "V202401b"), ("V202501", "V202501")],
)
def test_a_year_means_its_newest_release(
    server: Replay, http: Http, zipped: Path, edition: str | None, found: str
) -> None:
    serve(server, dict.fromkeys(("V202401", "V202501", "V202601", "V202401b"), zipped))
    assert CLIENT.plan(http, edition).edition == found


def test_a_release_that_cepii_does_not_list_is_the_users_mistake(server: Replay, http: Http, zipped: Path) -> None:
    serve(server, {"V202601": zipped})
    with pytest.raises(BadInput, match="no release 2027; CEPII lists V202601"):
        CLIENT.plan(http, "2027")
    with pytest.raises(BadInput, match="no monthly editions"):
        CLIENT.editions((), ["2026-01"], date(2026, 3, 1))
    assert CLIENT.editions([2026, 2025], (), date(2026, 3, 1)) == ["2025", "2026"]
    assert CLIENT.editions((), (), date(2026, 3, 1)) == []


@pytest.mark.parametrize(
    "place",
    [
        FOLDER,
        f"https://www.cepii.fr{FOLDER}",
        f"http://www.cepii.fr{FOLDER}",
        f"../../..{FOLDER}",
    ],
)
def test_links_may_be_written_in_any_way(server: Replay, http: Http, zipped: Path, place: str) -> None:
    serve(server, {"V202601": zipped}, item=page("V202601", place=place))
    assert CLIENT.plan(http, None).items[0].url == f"{server.url}{FOLDER}/{NAME}"


def test_the_second_page_serves_where_the_first_has_no_link(server: Replay, http: Http, zipped: Path) -> None:
    others = page("V202701", hs=("92", "22")) + page("V202801", place="https://elsewhere.invalid/baci")
    serve(server, {"V202601": zipped}, item=others, webpage=page("V202601"))
    assert CLIENT.plan(http, None).edition == "V202601"


def test_pages_without_a_link_are_told(server: Replay, http: Http) -> None:
    serve(server, {})
    with pytest.raises(SourceChanged, match="no link to a BACI_HS17"):
        CLIENT.plan(http, None)


def test_a_broken_download_goes_on_with_a_range(server: Replay, http: Http, tmp_path: Path, zipped: Path) -> None:
    serve(server, {"V202601": zipped})
    plan = CLIENT.plan(http, None)
    server.misbehave(reset_with_etag, path=".zip", times=1)
    CLIENT.pull(http, plan, tmp_path / "v")
    first, second = downloads(server)
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= zipped.stat().st_size // 2
    CLIENT.prove(plan, tmp_path / "v")
    assert (tmp_path / "v" / NAME).read_bytes() == zipped.read_bytes()


def reset_with_etag(handler: Handler, asked: Asked, reply: Reply) -> None:
    """Break off in mid-body, after naming the validator of these bytes."""
    send = handler.send

    def cut(status: int, headers: dict[str, str], body: bytes, **_: object) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        handler.connection.close()
        handler.close_connection = True

    handler.send = cut  # type: ignore[method-assign, assignment]
    try:
        handler.answer(asked, reply)
    finally:
        handler.send = send  # type: ignore[method-assign]


def test_a_file_renewed_between_attempts_is_brought_anew_and_never_mixed(
    server: Replay, http: Http, tmp_path: Path, zipped: Path
) -> None:
    files = {"V202601": zipped}
    serve(server, files)
    plan = CLIENT.plan(http, None)
    server.misbehave(reset_with_etag, path=".zip")
    with pytest.raises(FetchFailed):
        CLIENT.pull(http, plan, tmp_path / "v")
    assert (tmp_path / "v" / f"{NAME}.part").stat().st_size > 0
    assert not (tmp_path / "v" / NAME).exists()
    renewed = files["V202601"] = zipped.with_name("renewed.zip")
    repack(zipped, renewed, zipfile.ZIP_STORED)
    server.behave()
    newer = CLIENT.plan(http, None)
    assert newer.state != plan.state
    CLIENT.pull(http, newer, tmp_path / "v")
    assert "range" in downloads(server)[-1].headers
    assert (tmp_path / "v" / NAME).read_bytes() == renewed.read_bytes()
    CLIENT.prove(newer, tmp_path / "v")


def repack(source: Path, target: Path, method: int) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))


PASSING = {
    "busy": replay.status(429, Retry_After="0"),
    "broken": replay.status(500),
    "silence": replay.silence,
    "reset": replay.reset,
    "long length": replay.long_length,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_failure_gives_the_whole_release(
    server: Replay, http: Http, tmp_path: Path, zipped: Path, fault: Fault
) -> None:
    serve(server, {"V202601": zipped})
    server.misbehave(fault, path=".asp", times=1)
    plan = CLIENT.plan(http, None)
    server.misbehave(fault, path=".zip", times=1)
    CLIENT.pull(http, plan, tmp_path / "v")
    assert CLIENT.prove(plan, tmp_path / "v").rows == 16


LASTING = {
    "unavailable": (replay.status(503), FetchFailed, "503"),
    "silence": (replay.silence, FetchFailed, "no usable answer"),
    "reset": (replay.reset, FetchFailed, "broke off"),
    "long length": (replay.long_length, FetchFailed, "broke off"),
    "another host": (replay.elsewhere("http://elsewhere.invalid"), SourceChanged, "another host"),
    "forbidden": (replay.status(403), KeyRefused, "blocked this machine"),
    "gone": (replay.status(404), SourceChanged, "404"),
    "html": (replay.html, IncompletePull, "publisher lists"),
    "half": (replay.truncated, IncompletePull, "publisher lists"),
    "204": (replay.status(204), IncompletePull, "publisher lists"),
}


@pytest.mark.parametrize(("fault", "kind", "says"), LASTING.values(), ids=LASTING)
def test_a_lasting_failure_of_the_file_is_one_clear_error_and_no_vintage(
    server: Replay, tmp_path: Path, zipped: Path, fault: Fault, kind: type[OretraceError], says: str
) -> None:
    serve(server, {"V202601": zipped})
    server.misbehave(fault, path=".zip", after=1)
    home, began = Home(tmp_path / "home").create(), time.monotonic()
    with pytest.raises(kind, match=says):
        fetch(home, "baci")
    assert time.monotonic() - began < 6
    assert not list(home.raw.rglob("*.zip"))
    assert not list(home.raw.rglob("vintage.json"))


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (replay.status(503), FetchFailed, "503"),
        (replay.silence, FetchFailed, "no usable answer"),
        (replay.drip, FetchFailed, "longer than"),
        (replay.truncated, FetchFailed, "breaks off"),
        (replay.status(204), FetchFailed, "breaks off"),
        (replay.html, SourceChanged, "no link"),
        (replay.elsewhere("http://elsewhere.invalid"), SourceChanged, "another host"),
    ],
)
def test_a_lasting_failure_of_the_pages_is_one_clear_error(
    server: Replay, http: Http, zipped: Path, fault: Fault, kind: type[OretraceError], says: str
) -> None:
    serve(server, {"V202601": zipped})
    server.misbehave(fault)
    with pytest.raises(kind, match=says):
        CLIENT.plan(http, None)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("BACI_HS17_Y2025_V202601.csv", b"0" * 30_000_000)


def traversal(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as pack:
        pack.writestr("../../outside.csv", "t,i,j,k,v,q\n")


def stranger(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as pack:
        pack.writestr("BACI_HS17_Y2024_V202501.csv", "t,i,j,k,v,q\n")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(bytes(content))


SPOILT = {
    "bomb": (bomb, "more than 100 times"),
    "traversal": (traversal, r"'\.\.' in the path"),
    "stranger": (stranger, "no part of release V202601"),
    "cut": (cut, "not a readable zip"),
    "flipped": (flipped, "damaged"),
}


@pytest.mark.parametrize(("spoil", "says"), SPOILT.values(), ids=SPOILT)
def test_an_archive_that_is_not_safe_or_whole_makes_no_vintage(
    server: Replay, tmp_path: Path, zipped: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(zipped)
    serve(server, {"V202601": zipped})
    home = Home(tmp_path / "home").create()
    with pytest.raises(SourceChanged, match=says):
        fetch(home, "baci")
    assert not list(home.raw.rglob("vintage.json"))
    assert not list(tmp_path.rglob("outside.csv"))
    assert not (home.raw / "baci" / "V202601").exists()


def test_a_release_without_a_year_makes_no_vintage(server: Replay, tmp_path: Path) -> None:
    lacking = release(tmp_path / "cepii", replaced={"BACI_HS17_Y2020_V202601.csv": None})
    serve(server, {"V202601": lacking})
    with pytest.raises(SourceChanged, match="lacks years 2020"):
        fetch(Home(tmp_path / "home").create(), "baci")


def test_another_size_than_proven_is_told(server: Replay, http: Http, tmp_path: Path, zipped: Path) -> None:
    serve(server, {"V202601": zipped})
    plan = CLIENT.plan(http, None)
    (tmp_path / "v").mkdir()
    with pytest.raises(IncompletePull, match=r"None bytes, CEPII lists"):
        CLIENT.prove(plan, tmp_path / "v")
    (tmp_path / "v" / NAME).write_bytes(zipped.read_bytes() + b"\0")
    with pytest.raises(IncompletePull, match=r"CEPII lists \d+"):
        CLIENT.prove(plan, tmp_path / "v")


def test_an_unlisted_size_is_said_and_the_archive_proves_itself(
    server: Replay, http: Http, tmp_path: Path, zipped: Path
) -> None:
    serve(server, {"V202601": zipped})
    plan = CLIENT.plan(http, None)
    unlisted = replace(plan, items=(replace(plan.items[0], size=None),))
    CLIENT.pull(http, unlisted, tmp_path / "v")
    assert "none listed" in CLIENT.prove(unlisted, tmp_path / "v").checks[0]


def test_a_release_is_kept_once_and_a_renewed_one_beside_it(server: Replay, tmp_path: Path, zipped: Path) -> None:
    serve(server, {"V202601": zipped})
    home = Home(tmp_path / "home").create()
    assert [item.outcome for item in fetch(home, "baci", years=[2026])] == ["kept"]
    asked = len(downloads(server))
    assert [item.outcome for item in fetch(home, "baci")] == ["unchanged"]
    assert len(downloads(server)) == asked
    with zipfile.ZipFile(zipped, "a") as pack:
        pack.comment = b"renewed"
    (renewed,) = fetch(home, "baci")
    assert renewed.vintage is not None
    assert renewed.vintage.folder.name == "V202601-r2"


def test_a_real_extract_as_a_release_comes_through_as_it_went_in(
    server: Replay, http: Http, tmp_path: Path, shared_data: Path
) -> None:
    extract = shared_data / "baci" / "extract"
    serve(server, {"V202601": real_release(tmp_path / "cepii", extract)})
    server.misbehave(reset_with_etag, path=".zip", times=1, after=1)
    plan = CLIENT.plan(http, None)
    CLIENT.pull(http, plan, tmp_path / "v")
    assert len(downloads(server)) == 2
    real = baci.all_pairs(extract / "trade.parquet").filter(year=2024)
    assert CLIENT.prove(plan, tmp_path / "v").rows == real.height + len(YEARS) - 1
    flows = baci.SOURCE.read_vintage(tmp_path / "v", "V202601")["raw_baci__flows"].filter(year=2024)
    key = ["exporter", "importer", "hs_code"]
    figures = ["value_usd", "quantity_gross_t"]
    live, filed = (frame.select(*key, *figures).sort(key) for frame in (flows, real))
    assert live.select(key).equals(filed.select(key))
    assert live["value_usd"].to_list() == pytest.approx(filed["value_usd"].to_list())
    assert live["quantity_gross_t"].null_count() == filed["quantity_gross_t"].null_count()
    assert flows.filter(hs_code="850511").select(pl.col("value_usd").sum()).item() == pytest.approx(
        4_962_889_102, abs=1500
    )
