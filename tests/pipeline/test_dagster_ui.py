"""The Dagster UI in a real browser: launch the job, follow a column, look at a picture, meet a failed check.

Keeps screenshots in ``var/screenshots`` of the project.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil
import pytest
import requests

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROJECT = Path(__file__).resolve().parents[2]
SCREENSHOTS = PROJECT / "var" / "screenshots"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECOND = 1_000  # playwright counts in milliseconds
PATIENCE = 60 * SECOND
PLANTED = 1.7

pytestmark = [
    pytest.mark.xdist_group("dagster_ui"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"),
]


@dataclass
class Ui:
    """The server, the page, and what the page said and asked for."""

    address: str
    home: Path
    page: Page
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def keep(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(SECOND)  # what moves comes to rest
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``oretrace ui`` on a free port with an empty home; its whole process group ends with the tests."""
    home = tmp_path_factory.mktemp("ui")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {**os.environ, "ORETRACE_HOME": str(home)}
    settings.pop("DAGSTER_HOME", None)
    command = [Path(sys.executable).with_name("oretrace"), "ui", "--port", str(port)]
    with (home / "ui.log").open("w") as log:
        started = subprocess.Popen(
            ["env", "--default-signal=INT,TERM", *command],
            env=settings, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, started, home / "ui.log")
        yield address, home
    finally:
        end(started.pid)


def wait_for(address: str, started: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 240
    while time.monotonic() < give_up:
        assert started.poll() is None, log.read_text()[-3000:]
        try:
            if requests.get(f"{address}/server_info", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    pytest.fail(f"no answer from {address}: {log.read_text()[-3000:]}")


def end(group: int) -> None:
    """End a process group that was started here, first asking."""
    for kind, patience in ((signal.SIGINT, 20), (signal.SIGKILL, 10)):
        members = [process for process in psutil.process_iter() if belongs(process, group)]
        if members:
            os.killpg(group, kind)
        psutil.wait_procs(members, timeout=patience)


def belongs(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group
    except OSError:
        return False


@pytest.fixture(scope="module")
def ui(server: tuple[str, Path]) -> Iterator[Ui]:
    from playwright.sync_api import sync_playwright

    address, home = server
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(PATIENCE)
        seen = Ui(address, home, page)
        page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", lambda asked: seen.elsewhere.append(asked.url) if not local(asked.url, address) else None)
        yield seen
        browser.close()


def local(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:", address.replace("http", "ws", 1)))


@pytest.fixture(scope="module")
def ran(ui: Ui) -> Ui:
    """The job, launched from its launchpad and waited for on the page of the run."""
    page = ui.open("/locations/oretrace/jobs/refresh/playground")
    launch = page.get_by_role("button", name="Launch Run")
    launch.wait_for()
    page.get_by_text("No errors").wait_for()
    ui.keep("1_launchpad")
    launch.click()
    page.wait_for_url(re.compile("/runs/"))
    ended = page.get_by_text(re.compile("^(Success|Failure)$")).first
    ended.wait_for(timeout=8 * PATIENCE)
    ui.keep("2_run")
    assert ended.inner_text() == "Success"
    return ui


def test_the_job_launched_in_the_launchpad_publishes_a_release(ran: Ui) -> None:
    with duckdb.connect(str(ran.home / "warehouse" / "oretrace.duckdb"), read_only=True) as published:
        assert published.execute("select count(*) from mart_supplier_exposure").fetchone()[0] > 100_000
    page = ran.open("/assets/published")
    page.get_by_text("The audited release").first.wait_for()
    ran.keep("3_published")


def test_the_graph_shows_layers_and_the_tables_of_each(ran: Ui) -> None:
    page = ran.open("/asset-groups")
    for layer in ("raw", "canonical", "traced", "staging", "intermediate", "marts", "published"):
        page.get_by_text(layer, exact=True).first.wait_for()
    ran.keep("4_layers")
    page = ran.open("/locations/oretrace/asset-groups/marts")
    page.get_by_text("Materialized").first.wait_for()
    page.get_by_text("mart_", exact=False).first.wait_for()
    ran.keep("5_marts")


def test_a_table_shows_rows_columns_owner_kinds_storage_and_code(ran: Ui) -> None:
    page = ran.open("/assets/marts/mart_supplier_exposure")
    for words in ("Row count", "Owners", "Kinds", "Storage", "oretrace.main.mart_supplier_exposure", "Source code"):
        page.get_by_text(words, exact=True).first.wait_for()
    page.get_by_text("Share of supply that passed through", exact=False).first.wait_for()
    ran.keep("6_mart")


def test_a_column_is_followed_to_its_canonical_column(ran: Ui) -> None:
    page = ran.open("/assets/marts/mart_supplier_exposure")
    shown(page, "columns made of").click()
    row = page.get_by_role("dialog").get_by_role("row").filter(has_text=re.compile("^hidden_share"))
    row.scroll_into_view_if_needed()
    assert "traced/exposure hidden_share" in row.inner_text()
    ran.keep("7_columns_made_of")
    row.get_by_role("link", name="stg_traced__exposure").click()
    page.wait_for_url("**/assets/staging/stg_traced__exposure**")


def test_pictures_are_drawn_in_the_page(ran: Ui) -> None:
    pictures = {
        "mart_coverage": ["coverage by evidence"],
        "mart_supplier_exposure": ["face value against traced", "stage by stage"],
        "mart_dependence_by_stage": ["lead processors"],
        "mart_criticality": ["risk and importance"],
    }
    for mart, names in pictures.items():
        page = ran.open(f"/assets/marts/{mart}")
        for name in names:
            shown(page, name).click()
            picture = page.get_by_role("dialog").get_by_role("img", name=name)
            picture.wait_for()
            page.wait_for_function("image => image.complete", arg=picture.element_handle())
            assert picture.evaluate("image => image.naturalWidth") > 300
            ran.keep(f"8_{mart}_{name.replace(' ', '_')}")
            page.get_by_role("dialog").get_by_role("button", name="Close").click()
            page.get_by_role("dialog").wait_for(state="detached")


def test_a_failed_check_shows_the_rows_that_fail(ran: Ui) -> None:
    """The candidate is spoiled by hand and audited again with the button of the check."""
    with duckdb.connect(str(ran.home / "build" / "candidate.duckdb")) as candidate:
        candidate.execute(
            "update mart_stage_output set share = ? where material = 'rare_earths' and stage = 'mine' "
            "and country = 'CHN' and year = 2024",
            [PLANTED],
        )
    address = "/assets/marts/mart_stage_output?view=checks&checkDetail=gate"
    page = ran.open(address)
    page.get_by_text("Evaluation result").wait_for()
    page.get_by_role("button", name=re.compile("Execute$")).click()
    give_up = time.monotonic() + 240
    while not page.get_by_text("Failed", exact=True).count():
        assert time.monotonic() < give_up, "the check did not fail in time"
        page.wait_for_timeout(3 * SECOND)
        ran.open(address)
        page.get_by_text("Evaluation result").wait_for()
    page.get_by_text(re.compile(r"share_within_0_and_1.*rows\)")).first.wait_for()
    cell = page.get_by_role("cell", name=str(PLANTED), exact=True).first
    cell.wait_for()
    assert "CHN" in cell.locator("xpath=ancestor::tr[1]").inner_text()
    ran.keep("9_failed_check")


def test_the_pages_complain_of_nothing_and_ask_nobody_else(ran: Ui) -> None:
    assert ran.elsewhere == []
    assert ran.complaints == []


def shown(page: Page, name: str) -> Any:
    """The button that shows a long piece of metadata of a table."""
    row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
    button = row.get_by_text("[Show Markdown]").first
    button.scroll_into_view_if_needed()
    return button
