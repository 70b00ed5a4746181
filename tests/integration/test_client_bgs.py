"""The OGC interface of the BGS: every feature once or one clear error; the same rows as the real exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.clients import bgs
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.sources import sources
from tests.publishers.bgs import PATH, collection, exported, made_up, serve
from tests.publishers.transport import PLANTED, QUICK, Planted, fetched
from tests.replay import Asked, Replay, Reply, other

FEW = ["copper, mine", "gallium, primary"]


class Paged(bgs.WorldMineralStatistics):
    """Pages of three, so that seven features make several."""

    per_page = 3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    with Replay() as replay:
        monkeypatch.setenv("ORETRACE_URL_BGS", replay.url)
        yield replay


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client ask for two commodities only; asking for all of them is a test of its own."""
    monkeypatch.setattr(bgs, "commodities", lambda: FEW)


def _read(folder: Path) -> pl.DataFrame:
    (table,) = sources()["bgs"].read_vintage(folder, "2023").values()
    return table


@pytest.mark.usefixtures("few")
def test_every_commodity_is_pulled_page_by_page_until_all_matched_features_are_there(
    server: Replay, tmp_path: Path
) -> None:
    serve(server, made_up())
    plan, proof = fetched(Paged(), tmp_path)
    assert (plan.edition, plan.state) == ("2023", None)
    assert (proof.rows, proof.server_total) == (14, 14)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")) == [
        f"{folder}/features-{number:04}.json" for folder in ("copper_mine", "gallium_primary") for number in (1, 2, 3)
    ]
    assert _read(tmp_path).select("commodity", "country", "quantity").unique().height == 14
    asked = server.asked[-1].query
    assert asked["bgs_statistic_type_trans"] == "Production"
    assert (asked["limit"], asked["offset"], asked["f"]) == ("3", "6", "json")


@pytest.mark.usefixtures("few")
def test_the_time_of_day_in_an_answer_is_no_new_content_but_a_revised_figure_is(server: Replay, tmp_path: Path) -> None:
    def later(_: Asked, reply: Reply) -> Reply:
        return Reply(json.dumps(json.loads(reply.body) | {"timeStamp": "2026-02-02T00:00:00Z"}).encode())

    features = serve(server, made_up())
    fetched(Paged(), tmp_path / "a")
    server.misbehave(other(later))
    fetched(Paged(), tmp_path / "b")
    copper = next(one for one in features if one["properties"]["bgs_commodity_trans"] == FEW[0])
    copper["properties"]["quantity"] = 101.5
    fetched(Paged(), tmp_path / "c")
    first, same, revised = (Paged().fingerprint(tmp_path / name) for name in "abc")
    assert first == same != revised


@pytest.mark.usefixtures("few")
def test_a_pull_goes_on_with_the_page_it_lacks(server: Replay, tmp_path: Path) -> None:
    serve(server, made_up())
    fetched(Paged(), tmp_path)
    (tmp_path / "copper_mine" / "features-0002.json").unlink()
    server.asked.clear()
    fetched(Paged(), tmp_path)
    assert [asked.query["offset"] for asked in server.asked] == ["0", "0", "3"]  # two heads, the lacking page


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_fault_of_the_way_ends_in_all_features_or_in_one_error(
    server: Replay, tmp_path: Path, planted: Planted
) -> None:
    serve(server, made_up())
    server.misbehave(planted.fault, path=PATH, times=planted.times, after=3)
    if planted.error is None:
        assert fetched(Paged(), tmp_path)[1].rows == 14
        return
    with pytest.raises(planted.error):
        fetched(Paged(), tmp_path)


def _matched(_: Asked, reply: Reply) -> Reply:
    content = json.loads(reply.body)
    return collection(content["features"], content["numberMatched"] + 1)


def _short(_: Asked, reply: Reply) -> Reply:
    content = json.loads(reply.body)
    return collection(content["features"][:-1], content["numberMatched"])


def _empty(_: Asked, reply: Reply) -> Reply:
    return collection([], json.loads(reply.body)["numberMatched"])


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_matched, "expected 3 of 7 matched features, found 3 of 8"),
        (_short, "expected 3 of 7 matched features, found 2 of 7"),
        (_empty, "expected 3 of 7 matched features, found 0 of 7"),
    ],
)
def test_a_number_that_does_not_match_is_an_incomplete_pull(
    server: Replay, tmp_path: Path, change: Callable[[Asked, Reply], Reply], message: str
) -> None:
    serve(server, made_up())
    server.misbehave(other(change), path=PATH, times=1, after=3)
    with pytest.raises(IncompletePull, match=message):
        fetched(Paged(), tmp_path)


@pytest.mark.usefixtures("few")
def test_a_page_that_repeats_is_an_incomplete_pull(server: Replay, tmp_path: Path) -> None:
    pages: list[bytes] = []

    def first_again(_: Asked, reply: Reply) -> Reply:
        pages.append(reply.body)
        return Reply(pages[0])

    serve(server, made_up())
    server.misbehave(other(first_again), path=PATH, times=2, after=2)
    with pytest.raises(IncompletePull, match="pages hold 7, of them 4 different; a page repeats"):
        fetched(Paged(), tmp_path)


@pytest.mark.usefixtures("few")
def test_a_feature_number_that_occurs_twice_is_an_incomplete_pull(server: Replay, tmp_path: Path) -> None:
    features = serve(server, made_up())
    features[1 + _first(features)]["id"] = features[_first(features)]["id"]
    with pytest.raises(IncompletePull, match="of them 6 different"):
        fetched(Paged(), tmp_path)


def _first(features: list[dict[str, Any]]) -> int:
    return next(at for at, one in enumerate(features) if one["properties"]["bgs_commodity_trans"] == FEW[0])


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda properties: properties.update(revision="2"), r"new properties \['revision'\]"),
        (lambda properties: properties.pop("units"), r"missing properties \['units'\]"),
    ],
)
def test_a_new_or_missing_property_is_refused_by_name(
    server: Replay, tmp_path: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    features = serve(server, made_up())
    spoil(features[_first(features) + 4]["properties"])
    with pytest.raises(SourceChanged, match=message):
        fetched(Paged(), tmp_path)


@pytest.mark.usefixtures("few")
def test_a_commodity_without_features_may_be_named_otherwise_now(server: Replay, tmp_path: Path) -> None:
    serve(server, [one for one in made_up() if one["bgs_commodity_trans"] != FEW[1]])
    with pytest.raises(SourceChanged, match="'gallium, primary' may be named otherwise"):
        fetched(Paged(), tmp_path)


@pytest.mark.usefixtures("few")
def test_an_edition_that_is_not_the_newest_does_not_exist(server: Replay, tmp_path: Path) -> None:
    serve(server, made_up())
    with pytest.raises(BadInput, match="the only one is 2023"):
        fetched(Paged(), tmp_path, "2019")
    with pytest.raises(BadInput, match="no editions by year"):
        bgs.CLIENT.editions([2019], [], date(2026, 1, 1))


@pytest.mark.usefixtures("few")
def test_sorting_that_the_server_ignores_does_not_name_a_wrong_edition(server: Replay, tmp_path: Path) -> None:
    features = made_up()
    features.reverse()

    def unsorted(asked: Asked, reply: Reply) -> Reply:
        mine = [one for one in features if one["bgs_commodity_trans"] == asked.query["bgs_commodity_trans"]]
        return collection([{"type": "Feature", "id": 1, "properties": mine[0]}], len(mine))

    serve(server, features)
    server.misbehave(other(unsorted), path=PATH, times=2)
    with pytest.raises(IncompletePull, match="the newest year is 2023, expected 2017"):
        fetched(Paged(), tmp_path)


def test_all_real_features_read_the_same_from_the_interface_and_from_the_exports(
    server: Replay, tmp_path: Path, shared_data: Path
) -> None:
    serve(server, exported(shared_data / "bgs"))

    class Wide(bgs.WorldMineralStatistics):
        per_page = 9000

    plan, proof = fetched(Wide(), tmp_path, settings=replace(QUICK, read=10))
    assert plan.edition == "2023"
    assert proof.rows == proof.server_total == 27_487
    assert len(plan.partitions["matched"]) == 19
    assert _read(tmp_path).equals(_read(shared_data / "bgs"))
