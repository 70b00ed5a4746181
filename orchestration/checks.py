"""The gate in the run: Great Expectations on the candidate, one blocking check per mart, the certificate.

What belongs here: where the gate stands in the graph and what Dagster shows of it. What does not:
the expectations (``expectations``).
"""

# No `from __future__ import annotations`: Dagster reads the context's annotation as a class.
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from ingest.home import Home
from ingest.live import noted
from ingest.schemas import CANONICAL
from orchestration import dbt
from orchestration.assets.metadata import rows_table, vintages
from orchestration.assets.models import POOL
from orchestration.publish import current_release, write_certificate
from orchestration.resources import Builder
from orchestration.standing import inputs_of

if TYPE_CHECKING:
    from expectations.report import Outcome

CHECK = "gate"
SHOWN = 3  # failures in the one-line description; the metadata holds all


class GateConfig(dg.Config):
    """Settings of the gate.

    Attributes:
        compare: hold the candidate against the last release too (coverage, vintages). Off accepts a
            change that the comparison would stop; every other expectation still holds.
    """

    compare: bool = True


def gate(marts: Mapping[str, dg.AssetKey], whole: frozenset[dg.AssetKey]) -> dg.AssetChecksDefinition:
    """Make the op that audits the candidate; its checks block publication in the same run.

    Args:
        marts: mart name to key.
        whole: every asset of the whole job; a run of fewer does not know what all of its candidate is made of.
    """
    specs = [
        dg.AssetCheckSpec(
            CHECK, asset=key, blocking=True, description=f"Expectations of {name}; a critical one stops publication."
        )
        for name, key in marts.items()
    ]

    @dg.multi_asset_check(name="gate", specs=specs, pool=POOL, can_subset=True)
    def audit_candidate(
        context: dg.AssetCheckExecutionContext, config: GateConfig, builder: Builder
    ) -> Iterator[dg.AssetCheckResult]:
        from expectations.gate import audit  # seconds to import

        home = Home.from_environment()
        dbt.certificate(home).unlink(missing_ok=True)
        engine = builder.make()
        untrue = dbt.failed_tests(home)
        current = current_release(home.warehouse) if config.compare else None
        report = audit(
            engine.candidate(home), current.database if current else None, docs_folder(home), remote=engine.remote
        )
        if report.passed and not untrue:
            write_certificate(
                dbt.certificate(home),
                engine.candidate(home),
                run_id=context.run.run_id,
                report=report.to_dict(),
                vintages=source_vintages(home),
                sources=noted(home),
                inputs=inputs_of(home, context.run.run_id) if whole <= (context.run.asset_selection or whole) else {},
            )
        for outcome in report.failures:
            say = context.log.error if outcome.severity == "critical" else context.log.warning
            say(outcome.message)
        by_mart = report.by_mart()
        for name, key in marts.items():
            # A test of no mart in particular speaks against all of them.
            broken = [line for line in untrue if name in line or not any(mart in line for mart in marts)]
            # The audit is of the whole candidate, whichever mart's check was asked for (a button in the UI).
            if dg.AssetCheckKey(key, CHECK) not in context.selected_asset_check_keys:
                continue
            yield _result(key, by_mart.get(name, ()), broken, docs_folder(home))

    return audit_candidate


def _result(key: dg.AssetKey, outcomes: "Sequence[Outcome]", untrue: list[str], docs: Path) -> dg.AssetCheckResult:
    """Sum up the outcomes of one mart; a mart without a suite is not audited and therefore fails."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    critical = [outcome for outcome in failed if outcome.severity == "critical"]
    said = [*(outcome.message for outcome in failed), *(f"dbt test (critical): {line}" for line in untrue)]
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=key,
        passed=bool(outcomes) and not said,
        severity=dg.AssetCheckSeverity.ERROR if critical or untrue or not outcomes else dg.AssetCheckSeverity.WARN,
        description=" | ".join(said[:SHOWN]) or None,
        metadata={
            "expectations": len(outcomes),
            "failed": len(said),
            "failing": dg.MetadataValue.md("\n".join(f"- {line}" for line in said) or "none"),
            "data_docs": dg.MetadataValue.path(str(docs / (f"{key.path[-1]}.html" if outcomes else "index.html"))),
            **dict(_rows_of(outcome) for outcome in failed if outcome.sample),
        },
    )


def _rows_of(outcome: "Outcome") -> tuple[str, dg.TableMetadataValue]:
    """Return the offending rows of a failed expectation under its name, and how many there are in all."""
    columns = list(outcome.sample[0])
    rows = [[row.get(name) for name in columns] for row in outcome.sample]
    return f"{outcome.check} ({len(rows)} of {outcome.failing or len(rows):,} rows)", rows_table(columns, rows)


def docs_folder(home: Home) -> Path:
    """Return where the gate writes its Data Docs."""
    return home.build / "data_docs"


def source_vintages(home: Home) -> dict[str, list[str]]:
    """Return the vintages of every source that the canonical tables are made of."""
    found: dict[str, set[str]] = {}
    for table, contract in CANONICAL.items():
        path = home.canonical / f"{table}.parquet"
        if path.exists() and {"source", "vintage"} <= contract.columns.keys():
            for source, editions in vintages(pl.scan_parquet(path)).items():
                found.setdefault(source, set()).update(editions)
    return {source: sorted(editions) for source, editions in sorted(found.items())}
