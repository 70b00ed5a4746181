"""Against a publisher that misbehaves there is either the whole answer or one clear error, in time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.net.download import download
from ingest.net.keys import Key
from ingest.net.session import Http, Settings
from tests import replay
from tests.replay import Fault, Replay, Reply

PATIENCE = Settings(connect=1, read=0.3, total=0.6, retries=2, backoff=0.01, longest_wait=1, per_second=1000)
BODY = json.dumps({"figures": list(range(2000))}).encode()
FILE = bytes(range(256)) * 4000


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay() as publisher:
        publisher.on("/answer", lambda _: Reply(BODY, validator=True))
        publisher.on("/file", lambda _: Reply(FILE, validator=True, kind="application/zip"))
        yield publisher


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with Http(tmp_path / "http", settings=PATIENCE) as session:
        yield session


@pytest.mark.parametrize(
    "fault",
    [
        replay.status(429, Retry_After="1"),
        replay.status(500),
        replay.status(503),
        replay.silence,
        replay.reset,
        replay.truncated,
        replay.long_length,
        replay.broken_gzip,
        replay.html,
    ],
)
def test_a_passing_failure_is_waited_out(server: Replay, http: Http, fault: Fault) -> None:
    server.misbehave(fault, times=1)
    assert http.json(f"{server.url}/answer").content == json.loads(BODY)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (replay.status(503), FetchFailed, "status 503 after 2 retries"),
        (replay.status(429, Retry_After="99999"), FetchFailed, "status 429"),
        (replay.silence, FetchFailed, "no answer after 2 retries"),
        (replay.drip, FetchFailed, "took longer than"),
        (replay.reset, FetchFailed, "broke off"),
        (replay.truncated, FetchFailed, "not whole JSON"),
        (replay.long_length, FetchFailed, "broke off"),
        (replay.broken_gzip, FetchFailed, "not whole JSON|broke off"),
        (replay.html, FetchFailed, "text/html"),
        (replay.elsewhere("http://localhost:9"), SourceChanged, "another host"),
        (replay.status(302, Location="/answer"), FetchFailed, "in a circle"),
        (replay.status(401), KeyRefused, "status 401"),
        (replay.status(404), SourceChanged, "status 404"),
    ],
)
def test_a_lasting_failure_is_one_clear_error_in_time(
    server: Replay, http: Http, fault: Fault, kind: type[OretraceError], says: str
) -> None:
    server.misbehave(fault)
    begun = time.monotonic()
    with pytest.raises(kind, match=says) as caught:
        http.json(f"{server.url}/answer")
    assert time.monotonic() - begun < 8
    assert "/answer" in str(caught.value) or "another host" in str(caught.value)


def test_no_content_is_an_answer(server: Replay, http: Http) -> None:
    server.misbehave(replay.other(lambda _, __: Reply(b"", 204)))
    assert http.json(f"{server.url}/answer").content is None


def test_an_unchanged_answer_is_not_sent_twice(server: Replay, http: Http) -> None:
    first = http.json(f"{server.url}/answer")
    second = http.json(f"{server.url}/answer")
    assert first == second and "if-none-match" in server.asked[1].headers


def test_a_broken_answer_is_not_remembered(server: Replay, http: Http) -> None:
    server.misbehave(replay.truncated, times=3)
    with pytest.raises(FetchFailed):
        http.json(f"{server.url}/answer")
    assert http.json(f"{server.url}/answer").content == json.loads(BODY)
    assert all("if-none-match" not in asked.headers for asked in server.asked)


def test_the_publisher_learns_who_asks(server: Replay, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    http.json(f"{server.url}/answer")
    monkeypatch.setenv("ORETRACE_CONTACT", "data@example.org")
    with Http(settings=PATIENCE) as other:
        other.json(f"{server.url}/answer")
    assert server.asked[0].headers["user-agent"].startswith("oretrace/")
    assert "data@example.org" in server.asked[-1].headers["user-agent"]


def test_requests_keep_to_the_publishers_pace(server: Replay) -> None:
    settings = Settings(retries=0, backoff=0.01)
    with Http(per_second=4, settings=settings) as session:
        begun = time.monotonic()  # four at once, the fifth waits for the next second
        for _ in range(6):
            session.json(f"{server.url}/answer")
    assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("place", ["header", "parameter"])
def test_a_key_is_sent_and_never_shown(
    server: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, place: str
) -> None:
    secret = "pla+nted/key=1"  # noqa: S105
    monkeypatch.setenv("ORETRACE_TEST_KEY", secret)
    name = "X-Key" if place == "header" else "key"
    key = Key("ORETRACE_TEST_KEY", "https://example.org", **{place: name})
    caplog.set_level(logging.DEBUG)
    said = []
    with Http(tmp_path / "http", key=key, settings=PATIENCE) as session:
        answer = session.json(f"{server.url}/answer", {"year": 2024})
        said.append(answer.url)
        for fault in (replay.status(503), replay.reset, replay.silence, replay.status(403), replay.status(404)):
            server.behave()
            server.misbehave(fault)
            with pytest.raises(OretraceError) as caught:
                session.json(f"{server.url}/answer", {"year": 2024})
            said.append(str(caught.value))
    sent = server.asked[0]
    assert (sent.headers.get("x-key") if place == "header" else sent.query.get("key")) == secret
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode("latin-1")
    for text in (*said, caplog.text, kept):
        assert secret not in text and "pla%2Bnted" not in text and "pla+nted" not in text
    assert answer.url.endswith("/answer?year=2024")
    assert "ORETRACE_TEST_KEY is set, but not accepted" in said[4]


def test_a_redirect_to_a_known_host_goes_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORETRACE_TEST_KEY", "planted")
    key = Key("ORETRACE_TEST_KEY", "https://example.org", header="X-Key")
    with Replay() as files, Replay() as server:
        files.on("/answer", lambda _: Reply(BODY))
        server.on("/answer", lambda _: Reply(status=302, headers={"Location": f"{files.url}/answer"}))
        with Http(key=key, hosts=frozenset({"127.0.0.1"}), settings=PATIENCE) as session:
            assert session.json(f"{server.url}/answer").content == json.loads(BODY)
        assert "x-key" in server.asked[0].headers and "x-key" not in files.asked[0].headers


def test_a_download_goes_on_where_it_broke_off(server: Replay, http: Http, tmp_path: Path) -> None:
    target = tmp_path / "file.zip"
    target.with_name("file.zip.part").write_bytes(FILE[:1000])
    etag = http.head(f"{server.url}/file")["etag"]
    target.with_name("file.zip.part.tag").write_text(etag)
    download(http, f"{server.url}/file", target, size=len(FILE))
    assert target.read_bytes() == FILE
    assert server.asked[-1].headers["range"] == "bytes=1000-"
    assert [path.name for path in tmp_path.glob("file*")] == ["file.zip"]


def test_a_file_that_changed_meanwhile_is_brought_anew_not_mixed(server: Replay, http: Http, tmp_path: Path) -> None:
    target = tmp_path / "file.zip"
    target.with_name("file.zip.part").write_bytes(b"old" * 1000)
    target.with_name("file.zip.part.tag").write_text('"of another day"')
    download(http, f"{server.url}/file", target, size=len(FILE))
    assert target.read_bytes() == FILE


@pytest.mark.parametrize("fault", [replay.reset, replay.long_length, replay.status(500), replay.silence])
def test_a_broken_download_ends_whole(server: Replay, http: Http, tmp_path: Path, fault: Fault) -> None:
    server.misbehave(fault, times=1)
    download(http, f"{server.url}/file", tmp_path / "file.zip", size=len(FILE))
    assert (tmp_path / "file.zip").read_bytes() == FILE


@pytest.mark.parametrize("fault", [replay.reset, replay.long_length, replay.status(503), replay.silence])
def test_a_download_that_stays_broken_leaves_no_file(server: Replay, http: Http, tmp_path: Path, fault: Fault) -> None:
    server.misbehave(fault)
    with pytest.raises(FetchFailed):
        download(http, f"{server.url}/file", tmp_path / "file.zip", size=len(FILE))
    assert not (tmp_path / "file.zip").exists()


def test_a_file_of_another_size_than_listed_is_refused(server: Replay, http: Http, tmp_path: Path) -> None:
    with pytest.raises(IncompletePull, match=r"1,024,000 bytes, but the publisher lists 1,024,001"):
        download(http, f"{server.url}/file", tmp_path / "file.zip", size=len(FILE) + 1)
    assert not list(tmp_path.glob("file*"))
