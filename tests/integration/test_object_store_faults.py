"""Whatever goes wrong on the way to an object store, the former release stays readable and one line says why."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.errors import BadInput, OretraceError
from orchestration.publish import current_release
from orchestration.store import pointer as pointers
from orchestration.store import upkeep
from orchestration.store.pointer import Overtaken
from orchestration.store.shelf import Shelf, catch_up
from tests.candidates import published_value
from tests.faulty import Proxy, proxy_before
from tests.shelves import FIGURE, Place, command, machine, publisher, ready, released

pytestmark = pytest.mark.xdist_group("object store")


@pytest.fixture
def proxy(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that the environment names in place of the server."""
    with proxy_before(place.server.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


def on(method: str, part: str, what: str, times: int = 1_000_000) -> Callable[[str, str], str]:
    """Return a rule: so many requests of this method, whose path holds this, are treated so."""
    left, lock = [times], threading.Lock()

    def rule(seen: str, path: str) -> str:
        if seen != method or part not in path:
            return "pass"
        with lock:
            left[0] -= 1
            return what if left[0] >= 0 else "pass"

    return rule


def uploads(place: Place) -> list[str]:
    """Return the versions of which anything is in the store, in order."""
    return sorted({name.split("/")[1] for name in place.names("releases/")})


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_a_publisher_killed_between_upload_and_pointer_changes_nothing(
    place: Place, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home, reader = machine(tmp_path, "maker"), machine(tmp_path, "reader")
    first = released(home, 71.0)
    proxy.rule = on("PUT", "/pointers/000000000002.json", "hold")
    process = publisher(home, 72.0, place.environment(proxy.endpoint))
    assert proxy.held.wait(60), process.communicate()[0]
    process.kill()
    process.communicate()
    assert len(uploads(place)) == 2, "all of it was there but the pointer"

    monkeypatch.setenv("AWS_ENDPOINT_URL", place.server.endpoint)
    assert catch_up(reader).current == catch_up(home).current == first.version
    assert published_value(reader.warehouse) == published_value(home.warehouse) == 0.71
    assert command(reader, monkeypatch, capfd, "verify").code == 0
    released(home, 73.0)
    assert catch_up(reader).serial == 2 and published_value(reader.warehouse) == 0.73
    assert upkeep.prune(home, 9) == [] and set(uploads(place)) > set(catch_up(home).releases), "it may be under way"
    monkeypatch.setattr(upkeep, "LEFT_BEHIND", upkeep.LEFT_BEHIND * 0)
    late = Shelf(home)
    assert upkeep.prune(home, 9) == []
    assert set(uploads(place)) == set(catch_up(home).releases)
    with pytest.raises(Overtaken):  # a publisher that slept since before that is too late, whatever it uploaded
        pointers.move(late.bucket, late.before, first.version, late.before.releases, "publish")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "rule",
    [
        on("PUT", "mart_claims.parquet", "500"),
        on("PUT", "oretrace.duckdb", "cut"),
        on("PUT", "checksums.txt", "500"),
        on("PUT", "trade_flow.parquet", "cut"),
        on("PUT", "/pointers/", "500"),
        on("GET", "mart_claims.parquet", "garble"),
    ],
    ids=["500 in mid-upload", "broken in mid-upload", "500 at once", "canonical", "pointer", "read back otherwise"],
)
def test_a_server_that_fails_for_good_leaves_the_former_release(
    place: Place, proxy: Proxy, tmp_path: Path, rule: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_retry(), "max_retries", 1)
    home, reader = machine(tmp_path, "maker"), machine(tmp_path, "reader")
    first = released(home, 71.0)
    files = ready(home, 72.0)
    proxy.rule = rule
    with pytest.raises(OretraceError) as failed:
        from orchestration.publish import publish

        publish(*files, home.warehouse, shelf=Shelf(home))
    said = one_line(failed.value)
    assert said.startswith(place.url) and failed.value.exit_code == 1 and "as S3 does" not in said
    assert current_release(home.warehouse) == first and not list(home.warehouse.glob("releases/.partial-*"))
    proxy.rule = lambda method, path: "pass"
    assert catch_up(reader).current == first.version
    assert published_value(reader.warehouse) == published_value(home.warehouse) == 0.71
    time.sleep(1.1)  # a release is named by second and content, and the failed one claimed that name in the store
    assert released(home, 72.0).version > first.version


def _retry() -> dict[str, object]:
    from ingest.store import bucket

    retry: dict[str, object] = bucket._RETRY
    return retry


def test_what_fails_once_is_asked_again(place: Place, proxy: Proxy, tmp_path: Path) -> None:
    home = machine(tmp_path, "maker")
    for times, (method, part, what) in enumerate(
        [
            ("PUT", "mart_claims.parquet", "500"),
            ("PUT", "oretrace.duckdb", "cut"),
            ("GET", "oretrace.duckdb", "cut"),
            ("PUT", "/pointers/", "500"),
        ]
    ):
        proxy.rule = on(method, part, what, 1)
        released(home, 71.0 + times)
        assert published_value(home.warehouse) == (71.0 + times) / 100
    assert len(upkeep.listed()) == 4 and upkeep.verify() == (4, [])


def test_a_pointer_whose_answer_was_lost_is_known_as_our_own(place: Place, proxy: Proxy, tmp_path: Path) -> None:
    home = machine(tmp_path, "maker")
    proxy.rule = on("PUT", "/pointers/", "mute", 1)
    version = released(home, 71.0).version
    assert len([path for method, path in proxy.seen if method == "PUT" and "/pointers/" in path]) == 2
    assert [row["version"] for row in upkeep.listed()] == [version] and place.names("pointers/") == [
        "pointers/000000000001.json"
    ]


def test_it_is_said_when_nobody_can_know_whether_the_pointer_was_written(
    place: Place, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_retry(), "max_retries", 0)
    home = machine(tmp_path, "maker")
    written = on("PUT", "/pointers/", "mute")
    proxy.rule = lambda method, path: "500" if method == "GET" and path.endswith("0001.json") else written(method, path)
    with pytest.raises(OretraceError, match="it is not known whether") as failed:
        released(home, 71.0)
    one_line(failed.value)
    proxy.rule = lambda method, path: "pass"
    catch_up(home)  # it was: the next look brings it
    assert published_value(home.warehouse) == 0.71


def test_of_two_publishers_the_slower_is_refused_and_told_who_was_faster(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from orchestration.publish import publish

    one, two = machine(tmp_path, "one"), machine(tmp_path, "two")
    first = released(one, 71.0)
    slow = Shelf(two)
    fast = released(one, 72.0)
    with pytest.raises(Overtaken, match=f"another publisher changed .* {fast.version}") as refused:
        publish(*ready(two, 73.0), two.warehouse, shelf=slow)
    assert refused.value.exit_code == 1 and one_line(refused.value).endswith("Then do it again.")
    assert current_release(two.warehouse).version == first.version  # type: ignore[union-attr]
    assert [row["version"] for row in upkeep.listed()] == [fast.version, first.version]
    assert released(two, 73.0).version > fast.version
    catch_up(one)
    assert published_value(one.warehouse) == 0.73
    assert command(one, monkeypatch, capfd, "verify").code == 0


def test_of_many_publishers_at_once_one_wins_each_time(place: Place, tmp_path: Path) -> None:
    from ingest.store.bucket import Bucket

    home = machine(tmp_path, "maker")
    released(home, 71.0)
    bucket = Bucket.from_environment()
    before = pointers.newest(bucket)
    assert before is not None
    won: list[int] = []

    def race(number: int) -> None:
        try:
            pointers.move(bucket, before, before.current, {**before.releases, f"2{number}": {}}, "publish")
            won.append(number)
        except Overtaken:
            pass

    racers = [threading.Thread(target=race, args=(number,)) for number in range(12)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    now = pointers.newest(bucket)
    assert len(won) == 1 and now is not None and f"2{won[0]}" in now.releases and now.serial == before.serial + 1


def test_a_server_that_knows_no_conditional_writes_is_refused(
    place: Place, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = machine(tmp_path, "maker")
    proxy.rule = lambda method, path: "lie"
    with pytest.raises(BadInput, match="overwrites an object although it was told not to") as refused:
        released(home, 71.0)
    one_line(refused.value)
    assert place.names() == [], "not even the probe is left"
    monkeypatch.setitem(_retry(), "max_retries", 0)
    proxy.rule = lambda method, path: "500" if "delete" in path or method == "DELETE" else "lie"
    with pytest.raises(BadInput, match="overwrites an object"):  # also where it cannot remove what was tried
        released(home, 71.0)


def test_a_release_pruned_while_a_reader_brings_it_leads_to_the_next(place: Place, tmp_path: Path) -> None:
    maker, reader = machine(tmp_path, "maker"), machine(tmp_path, "reader")
    from ingest.store.bucket import Bucket
    from orchestration.store.shelf import _follow

    released(maker, 71.0)
    bucket = Bucket.from_environment()
    old = pointers.newest(bucket)
    assert old is not None
    released(maker, 72.0)
    assert upkeep.prune(maker, 1) == [old.current]
    assert _follow(reader, bucket, old).serial == 3
    assert published_value(reader.warehouse) == 0.72


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-value"}, "refused to list pointers (403 SignatureDoesNotMatch)"),
        ({"AWS_ACCESS_KEY_ID": "WRONGKEYIDVALUE"}, "(403 InvalidAccessKeyId)"),
        ({"AWS_ACCESS_KEY_ID": ""}, "there are no keys for it"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no keys for it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
        ({"AWS_ENDPOINT_URL": "http://planted-user:planted-secret@127.0.0.1:1"}, "without a name or password"),
        ({"ORETRACE_STORE": "s3://no-such-bucket-here/x"}, "there is no such bucket"),
        ({"ORETRACE_STORE": "s3://planted-user:planted-secret@bucket/x"}, "must look like s3://BUCKET/FOLDER"),
        ({"ORETRACE_STORE": "gs://bucket/x"}, "must look like s3://BUCKET/FOLDER"),
        ({"ORETRACE_STORE": "s3://bucket/../x y"}, "must look like s3://BUCKET/FOLDER"),
        (
            {
                "AWS_ACCESS_KEY_ID": None,
                "AWS_SECRET_ACCESS_KEY": None,
                "AWS_EC2_METADATA_DISABLED": None,
                "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1",
            },
            "there are no keys for it",
        ),
    ],
)
def test_wrong_keys_buckets_and_addresses_are_told_in_one_line_without_a_secret(
    place: Place,
    tmp_path: Path,
    changed: dict[str, str | None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(_retry(), "max_retries", 1)
    home = machine(tmp_path, "reader")
    for name, value in changed.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    for words in (["query", FIGURE], ["verify"], ["releases"], ["store", "status"], ["store", "pull"]):
        done = command(home, monkeypatch, capfd, *words)
        assert (done.code, done.out) == (2, ""), done
        assert done.err.count("\n") == 1 and done.err.startswith("oretrace: ") and "Traceback" not in done.err
        if words != ["store", "pull"]:
            assert said in done.err
    shown = done.err
    for secret in ("planted", place.server.secret, place.server.identity, *changed.values()):
        assert not secret or secret not in shown or secret.startswith(("http://127.0.0.1:1", "s3://no-such")), secret


def test_no_secret_is_written_anywhere(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = machine(tmp_path, "maker")
    released(home, 71.0)
    said = [
        command(home, monkeypatch, capfd, *words) for words in (["store", "status"], ["releases"], ["store", "pull"])
    ]
    written = [path.read_bytes() for path in home.root.rglob("*") if path.is_file()]
    written += [place.read(name) for name in place.names()]
    written += [f"{one.out}{one.err}".encode() for one in said]
    for secret in (place.server.secret, place.server.identity):
        assert not [text for text in written if secret.encode() in text]
    assert json.loads(place.read("pointers/000000000001.json"))["what"] == "publish"
