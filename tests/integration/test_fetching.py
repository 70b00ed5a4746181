"""From a publisher to an immutable vintage through the command line: kept whole, kept once, or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.home import Home
from ingest.live import choose, read_tables
from ingest.sources import sources
from ingest.vintages import newest, raw_vintages, verify_files
from tests import replay
from tests.publishers import world_bank
from tests.replay import Replay

GDP = "NY.GDP.MKTP.CD"
PROGRAM = Path(sys.executable).with_name("oretrace")


class Bank:
    """The World Bank on loopback and a command line that asks it."""

    def __init__(self, server: Replay, home: Path) -> None:
        self.server, self.home = server, Home(home)
        self.environment = {
            **os.environ,
            "ORETRACE_HOME": str(home),
            "ORETRACE_URL_WORLDBANK": f"{server.url}/v2",
            "ORETRACE_HTTP_PER_SECOND": "1000",
            "ORETRACE_HTTP_BACKOFF": "0.01",
            "ORETRACE_HTTP_RETRIES": "2",
            "ORETRACE_HTTP_READ": "0.5",
            "ORETRACE_HTTP_LONGEST_WAIT": "1",
        }
        self.figures: dict[str, list[dict[str, Any]]] = {}

    def serve(self, years: range = range(2000, 2024), *, factor: float = 1.0, updated: str = "2025-07-01") -> None:
        codes = ("CHN", "DEU", "JPN", "USA")
        figures = [(code, year, 1e12 * factor + year) for code in codes for year in years]
        self.figures = world_bank.serve(self.server, {GDP: figures}, updated=updated)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        return process.returncode, out + err

    def vintages(self) -> list[str]:
        return [item.vintage for item in raw_vintages(self.home.raw)]


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with Replay() as server:
        found = Bank(server, tmp_path / "home")
        found.serve()
        yield found


def test_a_fetch_keeps_a_vintage_with_its_proof_and_a_second_one_keeps_nothing(bank: Bank) -> None:
    code, said = bank.run("fetch", "worldbank")
    assert code == 0 and "worldbank 2025-07-01: kept" in said
    vintage = newest(bank.home.raw)["worldbank", "2025-07-01"]
    assert vintage.sidecar["server_total"] == vintage.sidecar["rows"] == 96
    assert vintage.sidecar["urls"] == [f"{bank.server.url}/v2/country/all/indicator/{GDP}"]
    assert "server total 96 = rows kept" in vintage.sidecar["checks"][0]
    verify_files(vintage)
    asked = len(bank.server.asked)
    code, said = bank.run("fetch", "worldbank")
    assert code == 0 and "unchanged (the publisher lists nothing new)" in said
    assert len(bank.server.asked) == asked + 1
    assert bank.vintages() == ["2025-07-01"]


def test_a_dry_run_asks_and_keeps_nothing(bank: Bank) -> None:
    code, said = bank.run("fetch", "worldbank", "--dry-run")
    assert code == 0 and "worldbank 2025-07-01: planned (1 file(s) or request(s))" in said
    assert bank.vintages() == [] and not list(bank.home.raw.glob("*/.partial*"))


def test_what_the_publisher_revised_becomes_a_revision_that_live_mode_reads(bank: Bank) -> None:
    bank.run("fetch", "worldbank")
    bank.serve(range(1999, 2024), factor=2)
    code, _ = bank.run("fetch", "worldbank")
    assert code == 0 and bank.vintages() == ["2025-07-01", "2025-07-01-r2"]
    used = choose(bank.home, "live")["worldbank"]
    assert [(item.origin, item.vintage.vintage) for item in used if item.vintage] == [("live", "2025-07-01-r2")]
    frame = read_tables(bank.home, sources()["worldbank"], used)["raw_worldbank__gdp"]
    assert frame.height == 100 and frame["gdp_usd"].min() > 2e12
    assert frame["vintage"].unique().to_list() == ["2025-07-01"]


def test_a_vintage_far_smaller_than_the_last_waits_until_it_is_accepted(bank: Bank) -> None:
    bank.run("fetch", "worldbank")
    bank.serve(range(2022, 2024), updated="2025-10-01")
    code, said = bank.run("fetch", "worldbank")
    assert code == 1 and "bytes, expected" in said and "--any-size" in said
    assert bank.vintages() == ["2025-07-01"]
    assert (bank.home.raw / "worldbank/.partial-2025-10-01").is_dir()
    asked = len(bank.server.asked)
    code, said = bank.run("fetch", "worldbank", "--any-size")
    assert code == 0 and bank.vintages() == ["2025-07-01", "2025-10-01"]
    assert len(bank.server.asked) == asked + 1  # the listing only


def test_a_listing_that_changed_without_new_content_is_remembered(bank: Bank) -> None:
    bank.run("fetch", "worldbank")
    sidecar = newest(bank.home.raw)["worldbank", "2025-07-01"].folder / "vintage.json"
    said = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(said | {"state": "an earlier listing"}))
    assert "the same content as kept before" in bank.run("fetch", "worldbank")[1]
    assert "the publisher lists nothing new" in bank.run("fetch", "worldbank")[1]
    assert bank.vintages() == ["2025-07-01"] and json.loads(sidecar.read_text())["state"] == "an earlier listing"


def test_a_kill_between_sidecar_and_vintage_is_begun_anew(bank: Bank) -> None:
    bank.run("fetch", "worldbank")
    kept = newest(bank.home.raw)["worldbank", "2025-07-01"].folder
    kept.rename(kept.with_name(".partial-2025-07-01"))  # as if the last step had not come
    assert bank.vintages() == []
    assert bank.run("fetch", "worldbank")[0] == 0 and bank.vintages() == ["2025-07-01"]


def test_a_broken_download_in_the_drop_folder_is_named_without_a_stack_trace(bank: Bank) -> None:
    drop = bank.home.root / "drop" / "iea" / "2026"
    drop.mkdir(parents=True)
    (drop / "iea.json").write_text("{")
    code, said = bank.run("fetch", "iea")
    assert code == 1 and "cannot be read as" in said and bank.vintages() == []


def test_a_raw_folder_that_is_a_file_is_named(bank: Bank) -> None:
    bank.home.raw.mkdir(parents=True)
    (bank.home.raw / "worldbank").write_text("")
    code, said = bank.run("fetch", "worldbank")
    assert code == 2 and "worldbank" in said and "ORETRACE_HOME" in said


def test_a_total_that_does_not_match_is_one_error_and_no_vintage(bank: Bank) -> None:
    bank.figures[GDP][5] = bank.figures[GDP][4]
    code, said = bank.run("fetch", "worldbank")
    assert code == 1 and "server counts 96 rows" in said and len(said.strip().splitlines()) == 2
    assert bank.vintages() == []


@pytest.mark.parametrize("fault", [replay.status(503), replay.reset, replay.html, replay.silence, replay.truncated])
def test_a_publisher_that_is_down_is_one_error_and_the_next_fetch_is_whole(bank: Bank, fault: replay.Fault) -> None:
    bank.server.misbehave(fault)
    code, said = bank.run("fetch", "worldbank")
    assert code == 1 and "No vintage was made; try again later" in said and bank.vintages() == []
    bank.server.behave()
    assert bank.run("fetch", "worldbank")[0] == 0 and bank.vintages() == ["2025-07-01"]


def test_of_two_fetches_at_once_one_works_and_one_says_so(bank: Bank) -> None:
    bank.server.misbehave(replay.slow(0.4))
    both = [bank.start("fetch", "worldbank") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 2])  # [0, 0] when the second began after the first had ended
    if codes == [0, 2]:
        assert any("another process is fetching worldbank" in err for _, err in said)
    assert bank.vintages() == ["2025-07-01"]
    verify_files(newest(bank.home.raw)["worldbank", "2025-07-01"])


def test_a_fetch_that_is_killed_leaves_no_half_vintage_and_the_next_goes_on(bank: Bank) -> None:
    bank.serve(range(1960, 2024))
    for after in (1, 2):  # killed while it plans, then while it pulls
        bank.server.behave()
        bank.server.misbehave(replay.silence, after=after - 1)
        asked = len(bank.server.asked)
        process = bank.start("fetch", "worldbank", ORETRACE_HTTP_READ="30")
        deadline = time.monotonic() + 30
        while len(bank.server.asked) < asked + after and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert bank.vintages() == []
    assert [path.name for path in (bank.home.raw / "worldbank").glob(".partial*")] == [".partial-2025-07-01"]
    bank.server.behave()
    assert bank.run("fetch", "worldbank")[0] == 0 and bank.vintages() == ["2025-07-01"]
    assert not list((bank.home.raw / "worldbank").glob(".partial*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fetch", "nobody"), "unknown source 'nobody'. Known: usgs_mcs"),
        (("fetch", "worldbank", "--year", "2020"), "no editions by year"),
        (("fetch", "iea", "--month", "2025-01"), "no monthly editions"),
        (("fetch", "iea"), "put the files, unpacked, into"),
        (("run", "--offline"), "--offline goes with --mode live"),
    ],
)
def test_a_users_mistake_is_named_and_nothing_is_asked(bank: Bank, arguments: tuple[str, ...], says: str) -> None:
    code, said = bank.run(*arguments)
    assert code == 2 and says in said and bank.server.asked == []


def test_a_setting_that_is_no_number_is_a_users_mistake(bank: Bank) -> None:
    code, said = bank.run("fetch", "worldbank", ORETRACE_HTTP_READ="soon")
    assert code == 2 and "ORETRACE_HTTP_READ='soon' is not a number" in said


def test_sources_says_what_is_there_how_old_it_is_and_what_is_due(bank: Bank) -> None:
    rows = overview(bank)
    assert rows["worldbank"]["state"] == "due" and rows["worldbank"]["kept"] == 0
    assert rows["comtrade"]["key"] == "not set" and rows["iea"]["from"] == "file drop"
    bank.run("fetch", "worldbank")
    row = overview(bank, ORETRACE_COMTRADE_KEY="planted")["worldbank"]
    assert (row["state"], row["kept"], row["newest"], row["age_days"]) == ("current", 1, "2025-07-01", 0)
    (bank.home.raw / "worldbank" / ".partial-2025-10-01").mkdir()
    assert overview(bank)["worldbank"]["state"] == "partial"


def overview(bank: Bank, **more: str) -> Mapping[str, Any]:
    code, said = bank.run("sources", "--format", "json", **more)
    assert code == 0 and "planted" not in said
    return {row["source"]: row for row in json.loads(said)}


HEADER = "authority_no,goods,announced,effective,status,hs_codes_evidenced,code_source\n"
CONTROL = "MOFCOM 2024 No. 33,antimony items,2024-08-15,2024-09-15,in force,,announcement\n"


def test_a_download_in_the_drop_folder_is_kept_once(bank: Bank) -> None:
    drop = bank.home.root / "drop" / "policy" / "2026" / "china_export_controls_compiled.csv"
    drop.parent.mkdir(parents=True)
    drop.write_text(HEADER)
    code, said = bank.run("fetch", "policy")
    assert code == 1 and "no rows for raw_policy__export_controls" in said and bank.vintages() == []
    drop.write_text(HEADER + CONTROL)
    assert bank.run("fetch", "policy")[0] == 0
    code, said = bank.run("fetch", "policy")
    assert code == 0 and "policy 2026: unchanged" in said
    assert bank.vintages() == ["2026"] and drop.is_file()
    assert bank.server.asked == []
