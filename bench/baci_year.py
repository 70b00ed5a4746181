"""One BACI year from csv to ``trade_flow``, beside a bare DuckDB ``read_csv`` with the same filter.

What belongs here: a year of real shape, the two contenders, the clock. What does not: checks of
correctness beyond the number of rows, on which both must agree.

Run ``python -m bench.baci_year`` from the project folder; ``--help`` lists the options. The year is
generated once and kept in the scratch folder. Ours proves every row on the way (years, countries,
products, values, no flow twice), adds up totals, and holds the result to its contract; DuckDB
filters, converts units, and does none of that. Both write Parquet. Each run is its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
from csv import DictReader
from dataclasses import replace
from pathlib import Path

from bench.measure import Measured, measure
from ingest.home import REFERENCE

YEAR, EDITION, VINTAGE = 2024, "HS2017", "V202601"
ROWS = 11_000_000
COUNTRIES, PRODUCTS = 226, 5_400
# Share of flows without a weight, as BACI writes it.
MISSING, NO_WEIGHT = 0.03, "           NA"
LIMIT_RATIO, LIMIT_MB = 1.5, 1500


def generate(path: Path, rows: int) -> None:
    """Write a year of real layout and its code lists beside it, the same for the same ``rows``.

    Country sizes and codes are lognormal, pairs trade by the product of their sizes, values are
    lognormal and larger between large countries. The mapped codes are among the codes.
    """
    import numpy as np
    import polars as pl

    from ingest.sources.census import used_codes

    rng = np.random.default_rng(202601)
    mapped = np.array(sorted(int(code) for code in used_codes() if len(code) == 6))
    others = np.setdiff1d(np.arange(10_110, 970_610, 10), mapped)
    products = np.sort(np.concatenate([mapped, rng.choice(others, PRODUCTS - len(mapped), replace=False)]))
    countries = np.sort(rng.choice(np.arange(4, 900), COUNTRIES, replace=False))
    size = rng.lognormal(0, 1.6, COUNTRIES)
    reach = np.outer(size, size * rng.lognormal(0, 0.5, COUNTRIES))
    np.fill_diagonal(reach, 0)
    pairs = np.flatnonzero(reach)
    pull = np.log(reach.ravel()[pairs])
    share = rng.lognormal(0, 0.7, PRODUCTS)
    count = np.minimum(share / share.sum() * rows, len(pairs) / 2)
    count = np.floor(count * rows / count.sum()).astype(int)
    count[: rows - count.sum()] += 1
    # The largest of pull plus Gumbel noise are a draw of pairs without replacement.
    chosen = [
        pairs[np.argpartition(-(pull + rng.gumbel(size=len(pairs))), n)[:n]] * PRODUCTS + product
        for product, n in enumerate(count)
    ]
    pair, product = np.divmod(np.sort(np.concatenate(chosen)), PRODUCTS)
    exporter, importer = np.divmod(pair, COUNTRIES)
    value = np.exp(rng.normal(2.6, 2.9, rows)) * reach.ravel()[pair] ** 0.1
    weight = value / rng.lognormal(1.5, 1.2, rows)
    year = pl.DataFrame(
        {
            "t": np.full(rows, YEAR, np.int16),
            "i": countries[exporter],
            "j": countries[importer],
            "k": products[product],
            "v": value.round(3).clip(0.001),
            "q": weight.round(3).clip(0.001),
            "unweighed": rng.random(rows) < MISSING,
        }
    )
    partial = path.with_suffix(".partial")
    quantity = pl.when("unweighed").then(pl.lit(NO_WEIGHT)).otherwise(pl.col("q").cast(pl.String))
    year.select("t", "i", "j", "k", "v", quantity.alias("q")).write_csv(partial, float_precision=3)
    _codes_path(path.parent).write_text(json.dumps({"countries": countries.tolist(), "products": products.tolist()}))
    partial.rename(path)


def _codes_path(folder: Path) -> Path:
    return folder / "codes.json"


def ours(csv: Path, target: Path) -> int:
    """Read, prove, convert and hold to the contract of ``trade_flow``; return the rows that are flows."""
    import polars as pl

    from ingest.countries import countries
    from ingest.sources import baci, sources, table_owner
    from ingest.sources.baci_release import Release, tables_of
    from ingest.sources.baci_year import lookup_of, scan_year
    from ingest.transforms import trade_flow

    codes = json.loads(_codes_path(csv.parent).read_text())
    names = countries().filter(pl.col("kind") == "country")["iso3"].to_list()
    iso3 = dict(zip(codes["countries"], names, strict=False))
    release = Release(csv, EDITION, {YEAR: csv.name}, iso3, frozenset(codes["products"]))
    lookup = lookup_of(release.iso3, release.products)
    source = replace(baci.SOURCE, read=lambda _folder, _vintage: tables_of(release, [scan_year(csv, YEAR, lookup)[0]]))
    known, owners = sources(), table_owner()
    empty = {name: pl.DataFrame(schema=dict(known[owners[name]].tables[name])) for name in trade_flow.INPUTS}
    table, _ = trade_flow.build(empty | source.read_vintage(csv.parent, VINTAGE))
    # The compression that DuckDB uses.
    table.write_parquet(target, compression="snappy")
    return table.filter(scope="all_pairs").height


def duckdb(csv: Path, target: Path) -> int:
    """Filter, convert and write with nothing but DuckDB, told every type; return the rows."""
    from duckdb import connect

    with (REFERENCE / "hs_stage.csv").open(encoding="utf-8", newline="") as stream:
        mapped = {row["hs_code"][:6] for row in DictReader(stream)}
    codes = ", ".join(str(int(code)) for code in sorted(mapped) if len(code) == 6)
    types = "{'t': 'SMALLINT', 'i': 'SMALLINT', 'j': 'SMALLINT', 'k': 'INTEGER', 'v': 'DOUBLE', 'q': 'VARCHAR'}"
    connect().execute(
        f"""
        copy (
            select t as year, i as exporter, j as importer, lpad(k::varchar, 6, '0') as hs_code,
                v * 1000 as value_usd, try_cast(trim(q) as double) as quantity_gross_t
            from read_csv('{csv}', header = true, columns = {types}) where k in ({codes})
        ) to '{target}' (format parquet)
        """
    )
    return int(connect().execute(f"select count(*) from '{target}'").fetchall()[0][0])


def _processor() -> float:
    """Processor seconds of all runs so far; they tell more than the clock on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


CONTENDERS = {"ours": ours, "duckdb": duckdb}


def main() -> None:
    """Run one contender (``--only``, as its own process does), or both by turns, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--times", type=int, default=3, help="runs of each, by turns")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir(), "oretrace-bench-baci"))
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    csv = options.scratch / f"BACI_HS17_Y{YEAR}_{options.rows}.csv"
    if options.only:
        print(CONTENDERS[options.only](csv, options.scratch / f"{options.only}.parquet"))
        return
    options.scratch.mkdir(parents=True, exist_ok=True)
    if not csv.is_file():
        generate(csv, options.rows)
    print(f"{csv}: {options.rows:,} rows, {csv.stat().st_size / 1e6:.0f} MB")
    command = [sys.executable, "-m", "bench.baci_year", "--rows", str(options.rows), "--scratch", str(options.scratch)]
    runs: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    spent = dict.fromkeys(CONTENDERS, 0.0)
    for _ in range(options.times):
        for name in CONTENDERS:
            before = _processor()
            runs[name].append(measure([*command, "--only", name], os.environ))
            spent[name] += (_processor() - before) / options.times
    if len(rows := {run.stdout for each in runs.values() for run in each}) > 1:
        raise SystemExit(f"bench: the contenders disagree on the rows: {sorted(rows)}")
    middle = {name: statistics.median(run.seconds for run in each) for name, each in runs.items()}
    for name, each in runs.items():
        seconds = ", ".join(f"{run.seconds:.2f}" for run in each)
        peak = max(run.peak_mb for run in each)
        print(f"{name:<7} {middle[name]:5.2f} s ({seconds}), processor {spent[name]:.2f} s, peak {peak:.0f} MB")
    print(
        f"{int(rows.pop()):,} flows of mapped codes; ours takes {middle['ours'] / middle['duckdb']:.2f} times DuckDB's "
        f"seconds (target {LIMIT_RATIO}; peak target {LIMIT_MB} MB)"
    )


if __name__ == "__main__":
    main()
