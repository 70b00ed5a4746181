"""Publishers on one server that answer from the embedded figures, so that a live run needs no file of theirs.

What belongs here: bringing embedded figures back to what the publishers answer. What does not: how
they answer (the other modules).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ingest.countries import countries
from ingest.home import REFERENCE
from ingest.live import embedded_tables
from ingest.transforms import production, trade_flow
from tests.baci_release import row as baci_row
from tests.baci_release import write_release
from tests.publishers import baci, bgs, census, comtrade, world_bank
from tests.replay import Replay

RELEASE, YEARS = "V202601", range(2017, 2025)
MONTH, DECEMBER = "2026-09", "2025-12"
NOT_M49 = {"TWN": 490}


def environment(server: Replay) -> dict[str, str]:
    """Return settings that point every client at the server and make it impatient."""
    places = {"worldbank": "/v2", "wgi": "/v2", "census": "/data/timeseries/intltrade"}
    places |= {"census_monthly": places["census"]}
    names = ("usgs_mcs", "comtrade", "census", "census_monthly", "baci", "worldbank", "wgi", "bgs")
    return {
        **{f"ORETRACE_URL_{name.upper()}": f"{server.url}{places.get(name, '')}" for name in names},
        "ORETRACE_HTTP_PER_SECOND": "1000",
        "ORETRACE_HTTP_BACKOFF": "0.01",
        "ORETRACE_HTTP_RETRIES": "1",
        "ORETRACE_HTTP_READ": "5",
        "ORETRACE_HTTP_LONGEST_WAIT": "1",
    }


def serve(server: Replay, folder: Path, *, key: str | None = None) -> None:
    """Serve World Bank, CEPII, UN Comtrade, BGS and Census (which wants ``key``); USGS answers 404."""
    tables = embedded_tables()
    gdp = tables["raw_worldbank__gdp"].select("code", "year", "gdp_usd").iter_rows()
    world_bank.serve(server, {"NY.GDP.MKTP.CD": gdp, **governance(tables["raw_wgi__estimates"])})
    flows = pairs(tables)
    lines = {year: [*_lines(flows.filter(year=year))] for year in YEARS}
    replaced = {f"country_codes_{RELEASE}.csv": _country_codes(flows), f"product_codes_HS17_{RELEASE}.csv": _products(flows)}  # fmt: skip  # noqa: E501
    baci.serve(server, {RELEASE: write_release(folder, lines, hs="HS17", version=RELEASE, replaced=replaced)})
    reports = _reports(flows.filter(year=YEARS[-1], scope="all_pairs"), YEARS[-1] + 1)
    comtrade.Publisher(comtrade.with_world(reports)).serve(server)
    bgs.serve(server, mined(tables))
    months = {("imports", MONTH): census.trade("imports"), ("exports", MONTH): census.trade("exports")}
    census.Census({**months, ("imports", DECEMBER): census.trade("imports")}, key=key).serve(server)


def pairs(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Reconciled flows between countries that have a number, as the embedded extract gives them."""
    numbers = _numbers()
    flows, _ = trade_flow.build({name: tables[name] for name in trade_flow.INPUTS})
    known = pl.col("exporter").is_in(list(numbers)) & pl.col("importer").is_in(list(numbers))
    total = pl.col("scope").str.ends_with("_total")
    kept = flows.filter(known & ~total, pl.col("value_usd") > 0, source="baci", flow="R", hs_level=6)
    # A release weighs nearly every flow; the extract's main flows are valued only.
    world = flows.filter(scope="world_total").with_columns(price=pl.col("value_usd") / pl.col("quantity_gross_t"))
    kept = kept.join(world.select("year", "hs_code", "price"), on=["year", "hs_code"], how="left")
    weight = pl.coalesce("quantity_gross_t", pl.col("value_usd") / pl.col("price"))
    return kept.with_columns(
        quantity_gross_t=weight,
        i=pl.col("exporter").replace_strict(numbers, return_dtype=pl.Int32),
        j=pl.col("importer").replace_strict(numbers, return_dtype=pl.Int32),
    )


def mined(tables: Mapping[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """Mine output of the newest USGS edition as BGS features, where its commodities and countries match."""
    made, _ = production.build({name: tables[name] for name in production.TRANSFORM.inputs})
    newest = made.filter(measure="production", source="usgs_mcs", stage="mine", form="all").filter(
        pl.col("vintage") == pl.col("vintage").max(), pl.col("quantity_t") > 0
    )
    parts = pl.read_csv(REFERENCE / "bgs_map.csv", null_values=[""]).filter(pl.col("drop_reason").is_null())
    places = countries().filter(kind="country").select("iso3", country="name")
    rows = newest.join(parts.select("commodity", "material", "stage", "content_factor"), on=["material", "stage"]).join(
        places.select("country", "iso3"), on="iso3"
    )
    rows = rows.unique(["commodity", "iso3", "year"], keep="first", maintain_order=True)
    found = [
        feature
        | {
            "country_trans": one["country"],
            "year": f"{one['year']}-01-01T00:00:00",
            "quantity": one["quantity_t"] / one["content_factor"],
            "quantity_in_book_style": str(one["quantity_t"]),
        }
        for feature in bgs.made_up(1)
        for one in rows.filter(commodity=feature["bgs_commodity_trans"]).iter_rows(named=True)
    ]
    served = {feature["bgs_commodity_trans"] for feature in found}
    silent = {"quantity": None, "quantity_in_book_style": None, "sdmx_code": "O"}
    return found + [one | silent for one in bgs.made_up(1) if one["bgs_commodity_trans"] not in served]


def governance(table: pl.DataFrame) -> dict[str, list[tuple[str, int, float | None]]]:
    """The six estimates as the World Bank's series."""
    series: dict[str, list[tuple[str, int, float | None]]] = {}
    for indicator, code, year, estimate in table.select("indicator", "code", "year", "estimate").iter_rows():
        series.setdefault(f"GOV_WGI_{indicator.upper()}.EST", []).append((code, year, estimate))
    return series


def _numbers() -> dict[str, int]:
    table = countries().filter(pl.col("m49").is_not_null(), pl.col("kind") == "country")
    return dict(table.select("iso3", "m49").iter_rows()) | NOT_M49


def _lines(flows: pl.DataFrame) -> Iterable[str]:
    columns = ("year", "i", "j", "hs_code", "value_usd", "quantity_gross_t")
    for year, i, j, code, value, tonnes in flows.sort("i", "j", "hs_code").select(columns).iter_rows():
        weight = "           NA" if tonnes is None else f"{tonnes:.6f}"
        yield baci_row(year, i, j, str(int(code)), f"{value / 1000:.6f}", weight)


def _country_codes(flows: pl.DataFrame) -> str:
    used = set(flows["exporter"]) | set(flows["importer"])
    listed = [f"{number},{iso3},,{iso3}" for iso3, number in sorted(_numbers().items()) if iso3 in used]
    return "\n".join(["country_code,country_name,country_iso2,country_iso3", *listed]) + "\n"


def _products(flows: pl.DataFrame) -> str:
    return "\n".join(["code,description", *(f"{code},a product" for code in sorted(set(flows["hs_code"])))]) + "\n"


def _reports(flows: pl.DataFrame, year: int) -> list[comtrade.Row]:
    """Each flow as its importer reports it, with freight, and as its exporter does; not everybody reports."""
    # Comtrade's numbers of these differ from M49.
    own = {840: 842, 756: 757, 356: 699, 578: 579, 250: 251}
    found = []
    for i, j, code, value, tonnes in flows.select("i", "j", "hs_code", "value_usd", "quantity_gross_t").iter_rows():
        seller, buyer = own.get(i, i), own.get(j, j)
        weight = None if tonnes is None else tonnes * 1000
        if buyer % 7:
            found.append(comtrade.row(buyer, seller, code, "M", round(value * 1.04, 2), weight, year))
        if seller % 5:
            found.append(comtrade.row(seller, buyer, code, "X", round(value, 2), weight, year))
    return found
