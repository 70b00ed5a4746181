"""What stands published, which inputs it is made of, and whether there is anything new to run for.

What belongs here: remembering the inputs of the last attempt and of what was published, and comparing
them with the inputs as they are. What does not: hashing inputs (``ingest.fingerprint``), publishing, and
anything heavy: ``oretrace run`` decides with this before it imports the tools.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.fingerprint import Parts, differences, fingerprint, parts
from ingest.home import Home
from ingest.store import configured
from orchestration.vouching import vouched

# As ``orchestration.releases`` and ``orchestration.integrity`` name them, which cost half a second to import.
LINK, CERTIFICATE, CHECKSUMS = "oretrace.duckdb", "certificate.json", "checksums.txt"


@dataclass(frozen=True)
class Standing:
    """The published release as far as it concerns the question whether to run.

    Attributes:
        version: name of the release; None where none is published whole.
        since: when it was published, ISO 8601.
        problem: why the release cannot be relied on; None where it can.
        editions: source to the editions that were read, as the certificate says.
    """

    version: str | None
    since: str | None = None
    problem: str | None = None
    editions: Mapping[str, list[str]] | None = None


def standing(home: Home) -> Standing:
    """Look at the published release: the link resolves, every file is as listed, the certificate vouches."""
    link = home.warehouse / LINK
    if not link.is_symlink():
        return Standing(None, problem="nothing is published yet")
    folder = link.resolve().parent
    try:
        cert = json.loads((folder / CERTIFICATE).read_text())
        lines = (line.split(maxsplit=1) for line in (folder / CHECKSUMS).read_text().splitlines())
        listed = {name: digest for digest, name in lines}
        wrong = [name for name, expected in listed.items() if _sha256(folder / name) != expected]
        intact = cert["passed"] is True and vouched(cert["candidate_sha256"], listed)
        editions = {source: [_edition(item) for item in said["used"]] for source, said in cert["sources"].items()}
        since = str(cert["audited"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Standing(folder.name, problem=f"release {folder.name} is damaged ({type(error).__name__}: {error})")
    if wrong or not intact:
        what = f"{', '.join(wrong[:5])} changed" if wrong else f"its certificate does not vouch for {LINK}"
        return Standing(folder.name, problem=f"release {folder.name} is damaged ({what})")
    return Standing(folder.name, since, editions=editions)


def _edition(used: Mapping[str, str]) -> str:
    return f"{used['vintage']} (live)" if used["origin"] == "live" else used["vintage"]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _attempt(home: Home) -> Path:
    return home.build / "inputs.json"


def _published(home: Home) -> Path:
    return home.build / "published_inputs.json"


def begin(home: Home, run_id: str, mode: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Note the inputs that a run begins with, once per run; a run that fails leaves this note as the last attempt."""
    noted = _read(_attempt(home))
    if noted.get("run_id") == run_id:
        return noted
    if configured():
        from orchestration.store.shelf import join

        join(home)  # once, before anything is read: a run does not see the store change
    now = parts(home, mode, settings)
    noted = {"run_id": run_id, "at": _now(), "fingerprint": fingerprint(now), "parts": now}
    _write(_attempt(home), noted)
    return noted


def settings_of(run_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a run's configuration that change figures, where they are given."""
    given = run_config.get("ops", {}).get("trace", {}).get("config", {})
    builder = run_config.get("resources", {}).get("builder", {}).get("config", {})
    return {name: given.get(name) for name in ("draws", "seed")} | engine_setting(builder.get("engine", "duckdb"))


def engine_setting(engine: str) -> dict[str, str]:
    """Return the engine as a setting of a run; the default is none, as before there was a choice."""
    return {} if engine == "duckdb" else {"engine": engine}


def inputs_of(home: Home, run_id: str) -> dict[str, Any]:
    """Return ``fingerprint`` and ``parts`` of a run; empty where another run made what lies in the build folder."""
    noted = _read(_attempt(home))
    if noted.get("run_id") != run_id:
        return {}
    return {"fingerprint": noted["fingerprint"], "parts": noted["parts"]}


def published_with(
    home: Home, version: str, run_id: str, inputs: Mapping[str, Any], *, elsewhere: bool = False
) -> None:
    """Remember the inputs that a published release is made of.

    Beside the certificate, because a run that ends with the same figures publishes nothing new and leaves
    the certificate of the release as it was. ``elsewhere``: another machine made it, and it came through the store;
    which run was tried last in this home then says nothing of it.
    """
    made = {"elsewhere": True} if elsewhere else {}
    _write(_published(home), {"version": version, "run_id": run_id, "at": _now(), **made, **inputs})


def last_published(home: Home) -> str | None:
    """Return the release whose inputs are remembered."""
    version: str | None = _read(_published(home)).get("version")
    return version


def what_is_new(home: Home, mode: str, settings: Mapping[str, Any] | None = None) -> list[str]:
    """Return what differs between the inputs now and those of the last release; empty where nothing does.

    Args:
        home: the folder.
        mode: ``snapshot`` or ``live``.
        settings: of the run in question; None leaves those of the release (its draws are a user's choice).
    """
    last = _read(_published(home))
    if not last.get("parts"):
        return ["it is not known what the published release was made of"]
    before: Parts = last["parts"]
    now = parts(home, mode, settings)
    if settings is None:
        now["settings"] = before.get("settings", {}) | {"mode": mode}
    return differences(before, now)


def reasons_to_run(home: Home, mode: str, settings: Mapping[str, Any]) -> list[str]:
    """Return why ``oretrace run`` has something to do; empty where there is nothing new.

    Besides new inputs: a release that is missing, damaged or rolled back, and a last attempt that did not end
    in what is published.
    """
    there, last, attempt = standing(home), _read(_published(home)), _read(_attempt(home))
    reasons = [there.problem] if there.problem else []
    if not there.problem and last and last.get("version") != there.version:
        reasons.append(f"release {there.version} is not the one that was published last ({last.get('version')})")
    if last and not last.get("elsewhere") and attempt.get("run_id") != last.get("run_id"):
        reasons.append("the last run was not finished")
    return reasons + what_is_new(home, mode, settings)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


def nothing_new(home: Home, there: Standing) -> str:
    """Return what ``oretrace run`` says when there is nothing to do."""
    named = sorted((there.editions or {}).items())
    made = "; ".join(f"{source} {', '.join(editions)}" for source, editions in named if editions)
    checked = _read(_published(home)).get("at", there.since)
    return (
        f"nothing new: release {there.version} (audited {there.since}) is made of these inputs; the last run to "
        f"say so ended {checked}.\n  {made}\n  {home.warehouse / LINK}\nRun all the same: oretrace run --force"
    )
