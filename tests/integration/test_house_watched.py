"""What happens without a run: a clock that went back, a house that went quiet, a publisher that is late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingest import errors
from ingest.calendar import calendar
from ingest.home import Home
from ingest.vintages import SIDECAR, keep
from orchestration.alerting.desk import Desk
from orchestration.alerting.incident import Incident, incident_of_error
from orchestration.alerting.watch import look_at_house
from orchestration.certificate import PublishRefused
from orchestration.locks import BuildBusy
from tests.receivers import Received, receivers


@pytest.fixture
def got(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receivers() as servers:
        for name, value in servers.environment.items():
            monkeypatch.setenv(name, value)
        yield servers


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


def look(home: Home, today: date | None = None) -> list[str]:
    """Look twice: what goes on is told once."""
    desk = Desk(home)
    found = look_at_house(home, desk, today)
    assert look_at_house(home, desk, today) == found
    desk.deliver()
    return found


def test_a_clock_that_is_behind_the_newest_release_is_told_and_the_end_of_it_too(home: Home, got: Received) -> None:
    ahead = datetime.now(UTC) + timedelta(days=40)
    release = home.warehouse / "releases" / f"{ahead:%Y%m%dT%H%M%SZ}-0123abcd"
    release.mkdir(parents=True)
    (said,) = look(home)
    assert said.startswith("the clock says ") and f"the newest release is of {ahead:%Y-%m-%d}" in said
    release.rename(release.with_name(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-0123abcd"))
    assert look(home) == []
    assert got.kinds() == ["clock_back", "recovered"] and len(got.mails) == 2


def test_a_house_in_which_no_run_ends_well_for_long_is_told_until_one_does(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(home) == []
    long_ago = (datetime.now(UTC) - timedelta(days=41)).isoformat(timespec="milliseconds")
    with monkeypatch.context() as then:
        then.setattr("orchestration.alerting.desk.now", lambda: long_ago)
        Desk(home).finished(Incident("run-1", "refresh", ok=True))
    assert look(home) == [f"the last run that ended well was on {long_ago[:10]}"]
    Desk(home).finished(Incident("run-2", "refresh", ok=True))
    assert look(home) == []
    assert got.kinds() == ["stale", "recovered"]


def test_a_publisher_whose_edition_was_due_for_long_is_told_until_it_is_fetched(home: Home, got: Received) -> None:
    def fetched(edition: str, day: date) -> None:
        folder = home.raw / "worldbank" / f".partial-{edition}"
        folder.mkdir(parents=True)
        (folder / "gdp.csv").write_text(edition)
        kept = keep(home.raw, "worldbank", edition, folder, {})
        assert kept is not None
        sidecar = json.loads((kept.folder / SIDECAR).read_text())
        (kept.folder / SIDECAR).write_text(json.dumps(sidecar | {"retrieved": f"{day}T06:00:00+00:00"}))

    today = date(2027, 3, 1)
    due = calendar()["worldbank"].last_before(today - timedelta(days=30))
    assert due is not None
    assert look(home, today) == []  # never fetched at all: nobody waits for it
    fetched("2024", due - timedelta(days=1))
    (said,) = look(home, due + timedelta(days=20))
    assert said.startswith(f"worldbank: should have released about {due}; last fetched {due - timedelta(days=1)}")
    fetched("2025", due + timedelta(days=1))
    assert look(home, due + timedelta(days=20)) == []
    assert got.kinds() == ["source_overdue", "recovered"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.BadInput("it went wrong"), "bad_input"),
        (errors.UnmappedValue("country", ["Atlantis"], "countries.csv"), "bad_input"),
        (errors.Busy("it went wrong"), "run_blocked"),
        (BuildBusy("it went wrong"), "run_blocked"),
        (errors.SourceChanged("it went wrong"), "source_changed"),
        (errors.KeyRefused("it went wrong"), "key_refused"),
        (errors.IncompletePull("it went wrong"), "incomplete_pull"),
        (errors.NotOut("it went wrong"), "incomplete_pull"),
        (errors.FetchFailed("it went wrong"), "source_unreachable"),
        (PublishRefused("it went wrong"), "publication_refused"),
        (errors.OretraceError("it went wrong"), "run_failed"),
    ],
)
def test_an_error_is_told_as_what_it_is(error: errors.OretraceError, kind: str) -> None:
    incident = incident_of_error("run-1", "refresh", error)
    assert (incident.kind, incident.reasons, incident.exit_code) == (kind, (str(error),), error.exit_code)
