"""Writes releases with the layout, counts, skew and gaps of CEPII BACI, the same bytes for the same seed.

What belongs here: what a generated year looks like, and writing it. What does not: measuring.

The shape is learnt from the one real year of all pairs that the project embeds (30 codes): how often each country
sells and buys, how many flows a code has, how values spread, what a tonne costs, how many weights are missing. Those
codes keep their own numbers of flows and the world's dollars and tonnes, other mapped codes are like one of them, and
codes that nobody maps fill the year to its number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.countries import countries
from ingest.embedded import read_snapshot_table
from ingest.sources.baci_year import HEADER
from ingest.sources.census import used_codes

SEED = 202601
# 28 years of these make the 270 million rows of the record; trade grows by a little every year.
MEAN_ROWS, GROWTH = 9_640_000, 0.015
# As many as the lists of release V202601 of edition HS17 hold.
COUNTRIES, PRODUCTS = 238, 5_384
# A release of 2026 ends in 2024 and begins in the year of its edition of the nomenclature. Those of other years than
# CEPII's do not exist, so nobody takes a generated file for a real one.
VERSION, LAST = "V202601", 2024
NO_WEIGHT = "           NA"  # as BACI prints a missing weight
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What the real year teaches.

    Attributes:
        sells: share of all flows by exporter, the largest first; ``buys`` by importer, matched by country.
        buys: see ``sells``.
        iso3: the countries in that order.
        codes: the codes of the extract as numbers, in order; the next four beside them.
        flows: number of flows.
        missing: share of flows without weight.
        kusd: the world's thousand USD.
        tonnes: the world's tonnes.
        value: mean and standard deviation of the logarithm of the value in thousand USD.
        price: the same of USD per tonne, between codes and within a code.
    """

    sells: Floats
    buys: Floats
    iso3: tuple[str, ...]
    codes: Numbers
    flows: Floats
    missing: Floats
    kusd: Floats
    tonnes: Floats
    value: tuple[float, float]
    price: tuple[float, float, float]


@cache
def shape() -> Shape:
    """Learn the shape from the embedded real year."""
    real = read_snapshot_table("raw_baci__flows").filter(pl.col("scope") == "all_pairs")
    real = real.filter(pl.col("quantity_gross_t").is_not_null().any().over("year"))
    ends = [real.group_by(iso3=end).agg(pl.len().alias(end)) for end in ("exporter", "importer")]
    size = ends[0].join(ends[1], on="iso3", how="full", coalesce=True).fill_null(0)
    size = size.sort(pl.col("exporter") + pl.col("importer"), "iso3", descending=[True, False])
    codes = (
        real.group_by("hs_code")
        .agg(pl.len(), pl.col("value_usd", "quantity_gross_t").sum(), missing=pl.col("quantity_gross_t").null_count())
        .sort("hs_code")
    )
    value = (real["value_usd"] / 1000).log()
    weighed = real.filter(pl.col("quantity_gross_t") > 0).with_columns(
        unit=(pl.col("value_usd") / pl.col("quantity_gross_t")).log()
    )
    middle = weighed["unit"].mean()
    between = weighed.group_by("hs_code").agg(pl.col("unit").mean())["unit"].std()
    within = weighed.select(pl.col("unit") - pl.col("unit").mean().over("hs_code")).to_series().std()
    return Shape(
        # A country the extract does not meet trades a little all the same.
        sells=(size["exporter"].to_numpy() + 0.25) / (real.height + 0.25 * size.height),
        buys=(size["importer"].to_numpy() + 0.25) / (real.height + 0.25 * size.height),
        iso3=tuple(size["iso3"]),
        codes=codes["hs_code"].cast(pl.Int64).to_numpy(),
        flows=codes["len"].to_numpy().astype(float),
        missing=(codes["missing"] / codes["len"]).to_numpy(),
        kusd=(codes["value_usd"] / 1000).to_numpy(),
        tonnes=codes["quantity_gross_t"].to_numpy(),
        value=(float(value.mean()), float(value.std())),  # type: ignore[arg-type]
        price=(float(middle), float(between), float(within)),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class World:
    """What is the same in every year of a release: codes, their numbers of flows and prices, who trades.

    Attributes:
        iso3: alpha-3 code by country number.
        numbers: country numbers in order; ``sells`` and ``buys`` beside them.
        sells: chance of being a flow's exporter.
        buys: chance of being its importer.
        products: HS6 codes as numbers, in order; the next five beside them.
        density: share of a year's rows.
        missing: share of rows without weight.
        price: mean of the logarithm of USD per tonne.
        kusd: the world's thousand USD in the last year, not a number for codes that nobody maps.
        tonnes: the world's tonnes, as ``kusd``.
    """

    iso3: dict[int, str]
    numbers: Numbers
    sells: Floats
    buys: Floats
    products: Numbers
    density: Floats
    missing: Floats
    price: Floats
    kusd: Floats
    tonnes: Floats


@cache
def world(seed: int = SEED) -> World:
    """Draw the world: real countries with the real extract's sizes, mapped codes, codes that fill the year."""
    rng, known = np.random.default_rng([seed, 1]), shape()
    table = countries().filter(kind="country").drop_nulls("m49").sort("m49")
    m49 = {iso3: int(number) for iso3, number in table.select("iso3", "m49").iter_rows()}
    # CEPII has Taiwan under a code of its own.
    m49 = {iso3: number for iso3, number in m49.items() if iso3 != "TWN"} | {"S19": 490}
    ranked = [iso3 for iso3 in known.iso3 if iso3 in m49]
    ranked += [iso3 for iso3 in m49 if iso3 not in ranked]
    names = ranked[:COUNTRIES]
    place = {iso3: number for number, iso3 in enumerate(known.iso3)}
    least = {"sells": known.sells.min(), "buys": known.buys.min()}
    order = sorted(names, key=lambda iso3: m49[iso3])
    sells = np.array([known.sells[place[iso3]] if iso3 in place else least["sells"] for iso3 in order])
    buys = np.array([known.buys[place[iso3]] if iso3 in place else least["buys"] for iso3 in order])
    mapped = np.array(sorted(int(code) for code in used_codes() if len(code) == 6))
    others = np.setdiff1d(np.arange(10_110, 970_610, 10), mapped)
    rest = rng.choice(others, PRODUCTS - len(mapped), replace=False)
    products = np.concatenate([mapped, rest])
    own = {int(code): at for at, code in enumerate(known.codes)}
    real = np.array(
        [own.get(int(code), at) for code, at in zip(mapped, rng.choice(len(own), len(mapped)), strict=True)]
    )
    density = np.empty(PRODUCTS)
    density[: len(mapped)] = known.flows[real] / MEAN_ROWS
    fill = rng.lognormal(0, np.log(known.flows).std(), len(rest))
    density[len(mapped) :] = fill / fill.sum() * (1 - density[: len(mapped)].sum())
    missing = np.concatenate([known.missing[real], rng.choice(known.missing, len(rest))])
    price = rng.normal(known.price[0], known.price[1], PRODUCTS)
    nothing = np.full(len(rest), np.nan)
    ranks = np.argsort(products)
    return World(
        iso3={m49[iso3]: iso3 for iso3 in order},
        numbers=np.array([m49[iso3] for iso3 in order]),
        sells=sells / sells.sum(),
        buys=buys / buys.sum(),
        products=products[ranks],
        density=density[ranks],
        missing=missing[ranks],
        price=price[ranks],
        kusd=np.concatenate([known.kusd[real], nothing])[ranks],
        tonnes=np.concatenate([known.tonnes[real], nothing])[ranks],
    )


def rows_by_year(years: int, scale: float = 1.0) -> dict[int, int]:
    """Return the rows of each year: ``MEAN_ROWS`` on average, growing by ``GROWTH`` a year."""
    steps = (1 + GROWTH) ** np.arange(years)
    return {LAST - years + 1 + at: int(MEAN_ROWS * scale * step / steps.mean()) for at, step in enumerate(steps)}


def flows(year: int, rows: int, seed: int = SEED) -> pl.DataFrame:
    """Draw the flows of a year: ``t, i, j, k, v, q`` in order of ``i, j, k``, about ``rows`` of them, none twice."""
    here, rng = world(seed), np.random.default_rng([seed, 2, year])
    count = len(here.numbers)
    reach = np.outer(here.sells, here.buys)
    np.fill_diagonal(reach, 0)
    reach = (reach / reach.sum()).ravel()
    lots = np.repeat(np.arange(PRODUCTS), _draws(reach, np.maximum(here.density * rows, 1)))
    pair = np.searchsorted(np.cumsum(reach), rng.random(len(lots))).clip(max=len(reach) - 1)
    pair, product = np.divmod(np.unique(pair * PRODUCTS + lots), PRODUCTS)
    exporter, importer = np.divmod(pair, count)
    known = shape()
    # Flows between large countries are larger; the spread of all stays that of the real year.
    size = np.log(reach[pair])
    pull = 0.4 * (size - size.mean()) / size.std()
    value = known.value[0] + known.value[1] * (pull + np.sqrt(1 - 0.4**2) * rng.standard_normal(len(pair)))
    price = here.price[product] + known.price[2] * rng.standard_normal(len(pair))
    unweighed = rng.random(len(pair)) < here.missing[product]
    grown = (1 + GROWTH) ** (year - LAST)
    v = _brought_to(np.exp(value), product, here.kusd * grown).round(3).clip(0.001)
    q = _brought_to(np.where(unweighed, 0, v * 1000 / np.exp(price)), product, here.tonnes * grown)
    return (
        pl.DataFrame(
            {
                "t": np.full(len(pair), year, np.int16),
                "i": here.numbers[exporter].astype(np.int16),
                "j": here.numbers[importer].astype(np.int16),
                "k": here.products[product].astype(np.int32),
                "v": v,
                "q": q.round(3).clip(0.001),
                "unweighed": unweighed,
            }
        )
        .with_columns(q=pl.when("unweighed").then(pl.lit(None, pl.Float64)).otherwise("q"))
        .drop("unweighed")
    )


def _brought_to(drawn: Floats, product: Numbers, total: Floats) -> Floats:
    """Multiply what was drawn so that each product sums to its total; as it is where there is no total."""
    factor = total / np.maximum(np.bincount(product, drawn, PRODUCTS), 1e-9)
    return drawn * np.where(np.isnan(factor), 1.0, factor)[product]


def _draws(reach: Floats, wanted: Floats) -> Numbers:
    """Return how many pairs to draw so that ``wanted`` different ones are expected: large pairs come up again."""
    drawn = np.geomspace(1, 50 * len(reach), 60)
    different = np.array([-np.expm1(-reach * number).sum() for number in drawn])
    return np.ceil(np.interp(wanted, different, drawn)).astype(np.int64)


def write_year(path: Path, year: int, rows: int, seed: int = SEED) -> int:
    """Write one yearly file, whole or not at all; return its rows."""
    table = flows(year, rows, seed)
    partial = path.with_suffix(".partial")
    table.write_csv(partial, float_precision=3, null_value=NO_WEIGHT)
    partial.rename(path)
    return table.height


def write_lists(folder: Path, edition: str, seed: int = SEED) -> None:
    """Write the lists of countries and products, and the readme, as a release has them."""
    here = world(seed)
    names = dict(countries().select("iso3", "name").iter_rows())
    iso2 = dict(countries().select("iso3", "iso2").iter_rows())
    rows = [(number, names.get(iso3, iso3), iso2.get(iso3) or "", iso3) for number, iso3 in here.iso3.items()]
    columns = ["country_code", "country_name", "country_iso2", "country_iso3"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / f"country_codes_{VERSION}.csv")
    codes = [f'"{code}","generated"' for code in here.products]
    text = "\n".join(['"code","description"', *codes]) + "\n"
    (folder / f"product_codes_HS{edition}_{VERSION}.csv").write_text(text, encoding="utf-8")
    (folder / "Readme.txt").write_text("Generated for measuring; no figure in these files is real.\n", encoding="utf-8")


def write_release(folder: Path, years: int, *, scale: float = 1.0, seed: int = SEED, processes: int = 2) -> dict[int, int]:  # fmt: skip  # noqa: E501
    """Write a whole release, unpacked; files that are there already are kept.

    Args:
        folder: made if it is not there.
        years: how many, the last one ``LAST``.
        scale: rows as a share of the real number.
        seed: of every draw.
        processes: years written at once.

    Returns:
        Year to number of rows.

    Raises:
        SystemExit: more years than there are files of BACI.
    """
    wanted = rows_by_year(years, scale)
    if not 1 <= years <= LAST - 1994:
        raise SystemExit(f"bench: BACI has files of 1995 to {LAST}; {years} years are not among them.")
    edition = f"{min(wanted) % 100:02}"
    folder.mkdir(parents=True, exist_ok=True)
    write_lists(folder, edition, seed)
    paths = {year: folder / f"BACI_HS{edition}_Y{year}_{VERSION}.csv" for year in wanted}
    todo = [(paths[year], year, rows, seed) for year, rows in wanted.items() if not paths[year].exists()]
    if len(todo) > 1 and processes > 1:
        with get_context("spawn").Pool(processes) as pool:
            pool.starmap(write_year, todo, chunksize=1)
    else:
        for task in todo:
            write_year(*task)
    for path in paths.values():
        with path.open(encoding="utf-8") as stream:
            assert stream.readline().rstrip() == HEADER  # noqa: S101
    return wanted
