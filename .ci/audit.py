"""Hold the locked requirements against published advisories; a known vulnerability fails the check.

``python .ci/audit.py`` asks PyPI, then OSV. A finding that does not concern this project is listed with reason and
expiry date in ``accepted_vulnerabilities.csv``. Where no service answers, it says so and does not fail.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent / "requirements.lock"
ACCEPTED = HERE / "accepted_vulnerabilities.csv"
PATIENCE_S = 120
Finding = tuple[str, str, dict[str, Any]]


def ask(requirements: Path, service: list[str]) -> tuple[list[Finding], list[str], int] | None:
    """Ask an advisory service.

    Returns:
        What it found, the packages it knows nothing of, and how many it knows; None where it did not answer.
        A proxy that answers "not found" to everything has not answered.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"]
        command += ["--require-hashes", "--progress-spinner", "off", "--timeout", "10", *service]
        command += ["--format", "json", "--output", str(report)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            return None
        if not report.is_file() or not report.stat().st_size:
            print(f"  {(done.stderr.strip().splitlines() or ['no answer'])[-1][:200]}")
            return None
        packages = json.loads(report.read_text())["dependencies"]
    known = [package for package in packages if "vulns" in package]
    unknown = [package["name"] for package in packages if "vulns" not in package]
    found = [(package["name"], package["version"], finding) for package in known for finding in package["vulns"]]
    return (found, unknown, len(known)) if len(known) > len(unknown) else None


def accepted(path: Path, today: date) -> set[str]:
    """Read the findings that were looked at and do not concern this project, without those that have expired."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if not (row["id"] and row["package"] and row["reason"]):
            sys.exit(f"audit: {path.name}: a row needs id, package, reason and expires (YYYY-MM-DD): {row}")
    return {row["id"] for row in rows if date.fromisoformat(row["expires"]) >= today}


def main() -> int:
    """Audit; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirements", type=Path, default=LOCK)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    parser.add_argument("--osv-url", help="Ask this OSV service only.")
    options = parser.parse_args()
    services = {"PyPI": ["--vulnerability-service", "pypi"], "OSV": ["--vulnerability-service", "osv"]}
    if options.osv_url:
        services = {options.osv_url: ["--vulnerability-service", "osv", "--osv-url", options.osv_url]}
    fine = accepted(options.accepted, datetime.now(UTC).date())
    for name, service in services.items():
        answer = ask(options.requirements, service)
        if answer is None:
            print(f"audit: {name} did not answer")
            continue
        found, unknown, known = answer
        open_ = [item for item in found if not {item[2]["id"], *item[2]["aliases"]} & fine]
        for package, version, finding in found:
            mark = "VULNERABLE" if (package, version, finding) in open_ else "accepted"
            fixed = ", ".join(finding["fix_versions"]) or "no fix yet"
            print(f"audit: {mark}: {package} {version}: {finding['id']} (fixed in: {fixed})")
        print(f"audit: {known} packages audited by {name}; {len(open_)} findings, {len(found) - len(open_)} accepted")
        if unknown:
            print(f"audit: not known to {name}: {', '.join(unknown)}")
        if open_:
            print(f"audit: raise the version (make lock), or accept with reason and date in {options.accepted.name}")
        return 1 if open_ else 0
    print(
        "audit: NOTHING WAS AUDITED: no advisory service could be reached. This is not a failure, and no proof either."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
