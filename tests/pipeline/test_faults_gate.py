"""The gate fails three times in a row, a source changes its shape: told, not tried again, and told when it is over."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ingest.vintages import newest
from tests.pipeline.faults import Published, parts, reader
from tests.publishers import embedded, world_bank
from tests.publishers.world_bank import without_country
from tests.receivers import receivers
from tests.replay import Replay, other

pytestmark = pytest.mark.xdist_group("faults")


def test_a_gate_that_fails_three_times_says_so_each_time_and_the_end_is_told_too(home: Path) -> None:
    candidate = home / "build" / "candidate.duckdb"
    right = candidate.read_bytes()
    before = Published.of(home)
    with (
        receivers() as got,
        reader(home) as watched,
        parts(home, "published", "gate", environment=got.environment) as run,
    ):
        with duckdb.connect(str(candidate)) as db:
            db.execute("update mart_stage_output set share = 1.7 where country = 'CHN' and material = 'rare_earths'")
        for _ in range(3):
            assert run().startswith("gate_failed: mart_stage_output")
            before.check(home)
        candidate.write_bytes(right)
        assert run() == "ok"
    told = got.of("gate_failed")
    assert [alert["count"] for alert in told] == [1, 2, 3]
    assert f"(3rd in a row, since {told[0]['since'][:10]}" in told[2]["headline"]
    assert told[0]["since"] == told[2]["since"]
    assert any("mart_stage_output" in line and "(critical)" in line and "rows)" in line for line in told[2]["lines"])
    assert before.version in told[2]["published"]
    assert [alert["summary"] for alert in got.of("recovered")] == ["refresh: back to normal after 3 failures"]
    assert len(got.mails) == len(got.posts)
    assert watched.errors == [] and watched.reads > 10
    after = Published.of(home)
    assert before.releases <= after.releases
    after.check(home)


def test_a_source_that_changed_its_shape_fails_at_once_and_the_fetch_after_its_return_recovers(
    home: Path,
) -> None:
    before = Published.of(home)
    figures = [(code, year, 1e12 + year) for code in ("CHN", "DEU", "JPN", "USA") for year in range(2000, 2025)]
    with receivers() as got, reader(home) as watched, Replay() as server:
        world_bank.serve(server, {"NY.GDP.MKTP.CD": figures}, updated="2026-10-01")
        server.misbehave(other(without_country))
        settings = {**got.environment, **embedded.environment(server)}
        with parts(home, "vintage/worldbank", environment=settings) as run:
            ended = run()
            assert ended.startswith("source_changed: vintage__worldbank: ") and "country_code" in ended, ended
            asked = len(server.asked)
            assert {request.query["page"] for request in server.asked} == {"1"} and asked == 1, "it was tried again"
            assert newest(home / "raw") == {}
            before.check(home)
            server.behave()
            assert run() == "ok"
    (told,) = got.of("source_changed")
    assert told["where"] == "vintage__worldbank" and before.version in told["published"]
    assert got.kinds() == ["source_changed", "recovered"] and len(got.mails) == 2
    assert [source for source, _ in newest(home / "raw")] == ["worldbank"]
    before.check(home)
    assert watched.errors == [] and watched.reads > 10
