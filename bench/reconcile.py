"""One full year of reports reconciled, beside the plain baseline in the same run.

What belongs here: the generated year and the timing. What does not: how good the result is (the
integration tests score it against the reconciled release).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from ingest.transforms.mirror import reconcile
from ingest.transforms.mirror_reports import country_codes

# As many rows per code (5,400) and repeats per report as the real year of 30 codes.
REPORTERS, FLOWS_PER_CODE, REPEATS = 162, 1000, 3


def year_of_reports(codes: int, flows: int, repeats: int) -> pl.DataFrame:
    """Generate one year of reports, the same on every machine.

    Args:
        codes: HS6 codes.
        flows: true flows per code; about 70 % are reported by each side.
        repeats: rows per report: the total and breakdown rows, shuffled.

    Returns:
        ``year, reporter, partner, hs6, flow, value_usd, net_weight_kg``, with a World row per reporter,
        code and flow.
    """
    chance = np.random.default_rng(2022)
    known = country_codes().filter(pl.col("iso3").is_not_null())["code"].cast(pl.Int32).sort()
    countries = known.sample(REPORTERS, seed=1).to_numpy()
    number = codes * flows
    table = pl.DataFrame(
        {
            "hs6": np.repeat([f"{250000 + 97 * code:06d}" for code in range(codes)], flows),
            "exporter": chance.choice(countries, number),
            "importer": chance.choice(countries, number),
            "value": chance.lognormal(11, 3, number),
            "unit": np.repeat(chance.lognormal(1, 2, codes), flows) * chance.lognormal(0, 0.5, number),
        }
    ).unique(["hs6", "exporter", "importer"], maintain_order=True)
    sides = []
    for flow, reporter, partner in (("X", "exporter", "importer"), ("M", "importer", "exporter")):
        seen = table.filter(pl.Series(chance.random(table.height) < 0.7))
        value = pl.col("value") * pl.Series(chance.lognormal(0, 0.8, seen.height))
        sides.append(
            seen.select(
                year=pl.lit(2022),
                reporter=reporter,
                partner=partner,
                hs6="hs6",
                flow=pl.lit(flow),
                value_usd=value,
                net_weight_kg=value / pl.col("unit"),
            )
        )
    reports = pl.concat(sides)
    world = reports.group_by("year", "reporter", "hs6", "flow", maintain_order=True).agg(
        pl.col("value_usd", "net_weight_kg").sum(), partner=pl.lit(0, pl.Int32)
    )
    whole = pl.concat([reports, world.select(reports.columns)])
    parts = [whole.with_columns(pl.col("value_usd", "net_weight_kg") / part) for part in range(1, repeats + 1)]
    return pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=3)


def plain(reports: pl.DataFrame) -> pl.DataFrame:
    """Reconcile as simply as possible: largest row per key, geometric mean with a fixed mark-up of 1.05."""
    key = ["reporter", "partner", "hs6"]
    rows = reports.filter(pl.col("partner") != 0, pl.col("partner") != pl.col("reporter"))
    largest = rows.group_by(*key, "flow").agg(pl.col("value_usd").max())
    exports = largest.filter(flow="X").select(exporter="reporter", importer="partner", hs6="hs6", x="value_usd")
    imports = largest.filter(flow="M").select(exporter="partner", importer="reporter", hs6="hs6", m="value_usd")
    paired = exports.join(imports, on=["exporter", "importer", "hs6"], how="full", coalesce=True)
    deflated = pl.col("m") / 1.05
    return paired.with_columns(value_usd=pl.coalesce((pl.col("x") * deflated).sqrt(), "x", deflated))


def timed(run: Callable[[pl.DataFrame], pl.DataFrame], reports: pl.DataFrame) -> tuple[float, int]:
    """Return the seconds and the flows of one run."""
    start = time.perf_counter()
    flows = run(reports)
    return time.perf_counter() - start, flows.height


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--codes", type=int, default=250)
    parser.add_argument("--flows", type=int, default=FLOWS_PER_CODE, help="true flows per code")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="rows per report, breakdown included")
    sizes = parser.parse_args()
    reports = year_of_reports(sizes.codes, sizes.flows, sizes.repeats)
    simple, pairs = timed(plain, reports)
    ours, flows = timed(reconcile, reports)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"mirror reconciliation: one year, {sizes.codes} codes, {REPORTERS} reporters, {reports.height:,} rows: "
        f"{ours:.2f} s, {flows:,} flows (limit 30 s); plain baseline {simple:.2f} s, {pairs:,} flows; "
        f"peak memory {memory:.2f} GB with the generated year"
    )


if __name__ == "__main__":
    main()
