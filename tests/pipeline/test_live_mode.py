"""A live run fetches, keeps, states the mix, publishes; offline it asks nobody; keys stay secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import dagster as dg
import duckdb
import polars as pl
import pytest

from ingest.home import Home
from ingest.live import used_path
from ingest.vintages import newest
from orchestration.assets import raw
from orchestration.resources import Publishers
from tests.pipeline.conftest import oretrace
from tests.publishers import embedded, world_bank
from tests.receivers import receivers
from tests.replay import Replay

pytestmark = pytest.mark.xdist_group("live")

KEY = "pla+nted/key=ofmine"
FETCHED = {"baci", "bgs", "census", "census_monthly", "comtrade", "wgi", "worldbank"}
MAGNETS = """
    select importer, country, round(face_value_share, 2) as face_value, round(processed_in_share, 1) as processed_in
    from mart_supplier_exposure
    where material = 'rare_earths' and stage = 'component' and year = 2024 and country = 'CHN'
    and importer in ('USA', 'DEU', 'JPN', 'KOR') order by importer
"""


@dataclass(frozen=True)
class Live:
    """A home after one live run, and the publishers it asked."""

    home: Path
    server: Replay
    first: subprocess.CompletedProcess[str]

    @property
    def environment(self) -> dict[str, str]:
        return embedded.environment(self.server) | {"ORETRACE_CENSUS_KEY": KEY, "ORETRACE_COMTRADE_KEY": ""}

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(self.home / "warehouse" / "oretrace.duckdb", read_only=True) as db:
            return db.execute(sql).fetchall()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with Replay() as server:
        embedded.serve(server, folder / "release", key=KEY)
        settings = embedded.environment(server) | {"ORETRACE_CENSUS_KEY": KEY}
        first = oretrace("run", "--mode", "live", home=folder / "home", environment=settings)
        assert first.returncode == 0, first.stderr
        yield Live(folder / "home", server, first)


def test_a_live_run_keeps_every_publisher_that_answers_and_goes_on_without_the_one_that_does_not(live: Live) -> None:
    assert {source for source, _ in newest(live.home / "raw")} == FETCHED
    assert "usgs_mcs could not be fetched; what was kept before is used" in live.first.stderr


def test_the_mix_of_live_and_embedded_editions_is_in_the_release(live: Live) -> None:
    mix = live.rows("select source, vintage, origin, raw_vintage from dim_vintage")
    assert {source for source, _, origin, _ in mix if origin == "live"} == FETCHED
    assert ("usgs_mcs", "2026", "snapshot", None) in mix
    assert ("comtrade", "2025", "live", "2025") in mix and ("baci", "V202601", "snapshot", None) in mix
    assert {row[0] for row in live.rows("select distinct origins from mart_coverage")} >= {"live;snapshot", "snapshot"}


def test_the_certificate_states_the_mix_and_what_could_not_be_fetched(live: Live) -> None:
    said = json.loads((live.home / "build" / "certificate.json").read_text())["sources"]
    assert "status 404" in said["usgs_mcs"]["problem"] and said["baci"]["problem"] is None
    assert [item["origin"] for item in said["baci"]["used"]] == ["snapshot", "live"]
    assert said["comtrade"]["used"][0]["raw_vintage"] == "2025"


def test_the_same_figures_give_the_same_dependence_live_as_embedded(live: Live) -> None:
    found = live.rows(MAGNETS)
    assert [row[0] for row in found] == ["DEU", "JPN", "KOR", "USA"]
    expected = {"DEU": (0.72, 0.8), "JPN": (0.12, 0.7), "KOR": (0.89, 1.0), "USA": (0.77, 1.0)}
    assert {importer: (face, passed) for importer, _, face, passed in found} == expected


def test_reconciled_trade_serves_the_year_that_no_release_holds(live: Live) -> None:
    sources = live.rows(
        "select distinct trade_source from mart_dependence_by_stage where year = 2025 and imports_usd > 0"
    )
    assert ("comtrade",) in sources and ("baci",) not in sources
    assert live.rows("select count(*) from mart_dependence_by_stage where year = 2024 and trade_source = 'comtrade'")[
        0
    ] == (0,)


def test_a_key_is_nowhere_after_a_run_with_failures(live: Live) -> None:
    forms = [form.encode() for form in (KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY))]
    assert any(asked.query.get("key") == KEY for asked in live.server.asked)
    for path in live.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(form in content for form in forms), path
    assert not any(form.decode() in live.first.stdout + live.first.stderr for form in forms)


def read_offline(live: Live, monkeypatch: pytest.MonkeyPatch) -> dg.ExecuteInProcessResult:
    """Run the raw layer alone, in live mode and offline."""
    for name, value in {**live.environment, "ORETRACE_HOME": str(live.home)}.items():
        monkeypatch.setenv(name, value)
    publishers = Publishers(mode="live", offline=True)
    return dg.materialize(raw.assets(), resources={"publishers": publishers}, raise_on_error=False)


def test_a_second_live_run_asks_everybody_and_finds_nothing_new(live: Live) -> None:
    """What could not be fetched is told all the same."""
    asked = len(live.server.asked)
    with receivers() as got:
        settings = {**live.environment, **got.environment, "ORETRACE_ALERT_REPEAT_HOURS": "0"}
        done = oretrace("run", "--mode", "live", home=live.home, environment=settings)
    assert done.returncode == 0, done.stderr
    assert [alert["where"] for alert in got.of("not_fetched")] == ["usgs_mcs"] and got.kinds() == ["not_fetched"]
    assert "nothing new" in done.stdout and "worldbank 2025-07-01" in done.stdout
    assert {request.path.split("/")[1] for request in live.server.asked[asked:]} >= {"v2", "data", "public"}


def test_offline_nobody_is_asked_and_the_vintages_kept_are_read(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = len(live.server.asked)
    result = read_offline(live, monkeypatch)
    assert result.success and len(live.server.asked) == asked
    read = result.asset_materializations_for_node("raw_comtrade")[0].metadata
    assert read["vintages"].value == ["2025 (live)"]


def test_a_new_edition_leads_to_a_release_without_a_hand(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sensor, fetch, sensor, whole job: as the daemon would start them, but in this process."""
    for name, value in {**live.environment, "ORETRACE_HOME": str(live.home), "ORETRACE_MODE": "live"}.items():
        monkeypatch.setenv(name, value)
    from orchestration.definitions import build_definitions

    graph = build_definitions()
    before = (live.home / "warehouse" / "oretrace.duckdb").resolve()
    tables = embedded.embedded_tables()
    gdp = [(code, year, 1.01 * usd) for code, year, usd in _gdp(tables) if usd]
    world_bank.serve(live.server, {"NY.GDP.MKTP.CD": gdp, **embedded.governance(tables["raw_wgi__estimates"])},
                     updated="2026-10-01")  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:

        def sense(name: str) -> list[dg.RunRequest]:
            context = dg.build_sensor_context(instance=instance, repository_def=graph.get_repository_def())
            return list(graph.get_repository_def().get_sensor_def(name).evaluate_tick(context).run_requests or [])

        def execute(request: dg.RunRequest) -> dg.ExecuteInProcessResult:
            job = graph.resolve_job_def(str(request.job_name))
            return job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance)

        assert sense("new_inputs") == []
        (fetch,) = sense("worldbank_upstream")
        assert execute(fetch).success
        (whole,) = sense("new_inputs")
        assert whole.tags["oretrace/why"] == "worldbank 2026-10-01 is new"
        asked = len(live.server.asked)
        assert execute(whole).success
        assert len(live.server.asked) == asked
        assert sense("worldbank_upstream") == [] and sense("new_inputs") == []
    assert (live.home / "warehouse" / "oretrace.duckdb").resolve() != before
    assert live.rows("select vintage, origin from dim_vintage where source = 'worldbank'") == [("2026-10-01", "live")]
    certificate = json.loads(
        (live.home / "warehouse" / "oretrace.duckdb").resolve().with_name("certificate.json").read_text()
    )
    assert "worldbank/2026-10-01" in certificate["inputs"]["parts"]["vintages"]
    # Offline, what the last attempt said still stands: nobody was asked, and USGS had not answered.
    assert "status 404" in certificate["sources"]["usgs_mcs"]["problem"]


def _gdp(tables: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, int, float]]:
    yield from tables["raw_worldbank__gdp"].select("code", "year", "gdp_usd").iter_rows()


def test_a_raw_vintage_that_was_tampered_with_stops_the_run(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    page = next((live.home / "raw" / "worldbank").glob("*/*/page-*.json"))
    parsed, text = live.home / "build" / "parsed" / "worldbank", page.read_text()
    parsed.rename(parsed.with_name("elsewhere"))
    read = used_path(Home(live.home), "worldbank")
    read.unlink()
    try:
        page.write_text(text.replace("1", "2", 1))
        result = read_offline(live, monkeypatch)
    finally:
        page.write_text(text)
    failed = result.failure_data_for_node("raw_worldbank")
    assert not result.success and failed is not None and failed.error is not None
    assert "is not as it was kept" in str(failed.error) and page.name in str(failed.error)
    assert not read.exists(), "what could not be read is not noted as read"
