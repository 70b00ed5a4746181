"""Against a publisher that misbehaves there is either the whole answer or one clear error, in time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import BadInput, FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.net.download import download
from ingest.net.keys import Key
from ingest.net.session import Http, Settings
from tests import replay
from tests.replay import Asked, Fault, Handler, Replay, Reply

PATIENCE = Settings(connect=1, read=0.3, total=0.6, retries=2, backoff=0.01, longest_wait=1, per_second=1000)
KEY = Key("ORETRACE_TEST_KEY", "https://example.org", header="X-Key")
BODY = json.dumps({"figures": list(range(2000))}).encode()
FILE = bytes(range(256)) * 4000


def nested(handler: Handler, _: Asked, __: Reply) -> None:
    """JSON deeper than any parser goes."""
    handler.send(200, {"Content-Type": "application/json"}, b"[" * 100_000)


def dripping_headers(handler: Handler, _: Asked, __: Reply) -> None:
    """Headers that never end, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.replay.stopping.wait(0.1):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def dripping_redirect(handler: Handler, asked: Asked, __: Reply) -> None:
    """A redirect to where the answer is, with a body that never ends."""
    handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 100000\r\n\r\n")
    while not handler.replay.stopping.wait(0.1):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def endless(handler: Handler, _: Asked, reply: Reply) -> None:
    """A body of a promised length that is absurd."""
    handler.send(200, {"Content-Type": "application/json"}, b"[1,", length=10**15)
    handler.replay.stopping.wait(20)


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
        replay.status(529),
        replay.status(429, Retry_After="soon"),
        replay.status(503, Retry_After="Fri, 31 Dec 99999 00:00:00 GMT"),
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
        (replay.silence, FetchFailed, "no usable answer after 2 retries"),
        (replay.drip, FetchFailed, "took longer than"),
        (replay.reset, FetchFailed, "broke off"),
        (replay.truncated, FetchFailed, "not whole JSON"),
        (replay.long_length, FetchFailed, "broke off"),
        (replay.broken_gzip, FetchFailed, "not whole JSON|broke off"),
        (replay.html, FetchFailed, "text/html"),
        (replay.elsewhere("http://localhost:9"), SourceChanged, "another host"),
        (replay.status(302, Location="/answer"), FetchFailed, "in a circle"),
        (replay.status(302, Location="http://[::1"), SourceChanged, "no address"),
        (replay.status(302, Location="http://127.0.0.1:abc/"), SourceChanged, "no address"),
        (replay.status(521), FetchFailed, "status 521 after 2 retries"),
        (nested, FetchFailed, "not whole JSON"),
        (dripping_headers, FetchFailed, "nothing whole came within"),
        (dripping_redirect, FetchFailed, "nothing whole came within|took longer"),
        (endless, FetchFailed, "broke off|took longer"),
        (replay.other(lambda _, __: Reply(b"", 200)), FetchFailed, "not whole JSON"),
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
    assert "127.0.0.1" in str(caught.value)


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


def test_a_key_is_not_in_the_cache_of_answers_that_vary_by_it(
    server: Replay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORETRACE_TEST_KEY", "planted-planted-planted")
    server.on("/answer", lambda _: Reply(BODY, headers={"ETag": '"e"', "Vary": "X-Key"}))
    with Http(tmp_path / "http", key=KEY, settings=PATIENCE) as session:
        session.json(f"{server.url}/answer")
    assert not any(b"planted" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_an_answer_that_repeats_the_key_is_refused(server: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORETRACE_TEST_KEY", "planted-planted-planted")
    server.on("/answer", lambda asked: Reply(json.dumps({"you": asked.headers["x-key"].upper()}).encode()))
    with (
        Http(key=KEY, settings=PATIENCE) as session,
        pytest.raises(SourceChanged, match="repeats ORETRACE_TEST_KEY") as caught,
    ):
        session.json(f"{server.url}/answer")
    assert "planted" not in str(caught.value).lower()


@pytest.mark.parametrize("value", ["first\nsecond", "two words", 'quo"ted', "back\\slash", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ORETRACE_TEST_KEY", value)
    with pytest.raises(BadInput, match="ORETRACE_TEST_KEY is not a key") as caught:
        Http(key=KEY, settings=PATIENCE)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORETRACE_HTTP_READ", "0"),
        ("ORETRACE_HTTP_RETRIES", "-1"),
        ("ORETRACE_HTTP_TOTAL", "1e9"),
        ("ORETRACE_CONTACT", "ü"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput, match=variable):
        Http()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Range": "bytes 1000-1023999/1024000", "ETag": '"other"'}, b"x" * 1_023_000),
        ({"Content-Range": "bytes 1000-1999/1024000"}, b"x" * 1000),
        ({"Content-Range": "bytes 7-1023999/1024000"}, b"x" * 1_023_993),
        ({}, b"x" * 1_023_000),
    ],
)
def test_a_rest_that_is_not_of_the_same_file_is_not_spliced(
    server: Replay, http: Http, tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    target = tmp_path / "file.zip"
    target.with_name("file.zip.part").write_bytes(FILE[:1000])
    target.with_name("file.zip.part.tag").write_text('"e"')
    server.misbehave(lambda handler, _, __: handler.send(206, headers, body), times=1)
    download(http, f"{server.url}/file", target)
    assert target.read_bytes() == FILE


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
