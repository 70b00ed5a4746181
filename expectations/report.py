"""What the gate found: one outcome per check, and the report of a run.

What belongs here: the outcome types, their wording for people and their JSON for the certificate.
What does not: how an outcome comes about (``adapter``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Outcome:
    """What one check found.

    Attributes:
        mart: table the check belongs to.
        check: its name within the suite.
        expectation: class and arguments, as text.
        severity: ``critical`` or ``warning``.
        status: ``passed``, ``failed`` or ``skipped`` (no earlier release to compare with).
        observed: the observed value, or the number of rows that break the rule.
        rows: rows with a value that were evaluated.
        sample: the first offending rows, key columns and bad values.
        reason: why the rule is there.
        found: what was found, in words; empty when passed.
        failing: how many rows break the rule in all; None when passed, or where it is no rule on rows.
    """

    mart: str
    check: str
    expectation: str
    severity: str
    status: str
    observed: Any
    rows: int
    sample: tuple[Mapping[str, Any], ...]
    reason: str
    found: str = ""
    failing: int | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against publishing; a skipped check does not."""
        return self.status != FAILED

    @property
    def message(self) -> str:
        """One line that names mart, check, expectation, value and reason."""
        if self.status == PASSED:
            return f"{self.mart}.{self.check} holds: {self.expectation} on {self.rows} rows."
        outcome = f"{self.mart}.{self.check} {self.status} ({self.severity})"
        return f"{outcome}: {self.expectation}: {self.found} Reason: {self.reason}"


@dataclass(frozen=True)
class GateReport:
    """Outcome of a whole audit.

    Attributes:
        outcomes: in order of mart and check.
        compared: whether there was an earlier release to compare with.
        engine: tool and version that evaluated the checks.
        seconds: time taken, by step; not part of the report's identity.
    """

    outcomes: tuple[Outcome, ...]
    compared: bool
    engine: str
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def passed(self) -> bool:
        """Whether there are checks and all critical ones hold."""
        return bool(self.outcomes) and not any(o.severity == "critical" for o in self.failures)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Checks that do not hold, critical ones first."""
        failed = (outcome for outcome in self.outcomes if not outcome.passed)
        return tuple(sorted(failed, key=lambda outcome: outcome.severity != "critical"))

    def by_mart(self) -> dict[str, list[Outcome]]:
        """Outcomes of each mart, in order."""
        marts = dict.fromkeys(outcome.mart for outcome in self.outcomes)
        return {mart: [o for o in self.outcomes if o.mart == mart] for mart in marts}

    def failure_lines(self) -> list[str]:
        """One line per check that does not hold, critical ones first."""
        return [outcome.message for outcome in self.failures]

    def summary_lines(self) -> list[str]:
        """A headline and one line per failure, for a terminal."""
        count = {status: sum(o.status == status for o in self.outcomes) for status in (PASSED, FAILED, SKIPPED)}
        critical = sum(o.severity == "critical" for o in self.failures)
        verdict = "passed" if self.passed else "refused"
        headline = f"gate {verdict}: {len(self.outcomes)} checks on {len(self.by_mart())} marts, {count[PASSED]} hold"
        if self.failures:
            headline += f", {count[FAILED]} do not ({critical} critical)"
        if count[SKIPPED]:
            headline += f", {count[SKIPPED]} skipped (nothing earlier to compare with)"
        return [f"{headline}.", *self.failure_lines()]

    def to_dict(self, *, timing: bool = True) -> dict[str, Any]:
        """Plain values for JSON; equal data gives an equal dict when ``timing`` is left out."""
        content: dict[str, Any] = {
            "passed": self.passed,
            "compared": self.compared,
            "engine": self.engine,
            "outcomes": [{**asdict(o), "sample": [dict(row) for row in o.sample]} for o in self.outcomes],
        }
        if timing:
            content["seconds"] = dict(self.seconds)
        return content

    def to_json(self, *, timing: bool = True) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(timing=timing), indent=1, allow_nan=False)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> GateReport:
        """Read what ``to_dict`` gave; ``passed`` is recomputed, never believed."""
        outcomes = tuple(Outcome(**{**row, "sample": tuple(row["sample"])}) for row in content["outcomes"])
        return cls(outcomes, content["compared"], content["engine"], dict(content.get("seconds", {})))

    @classmethod
    def from_json(cls, text: str) -> GateReport:
        """Read what ``to_json`` gave."""
        return cls.from_dict(json.loads(text))
