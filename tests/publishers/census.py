"""The trade interface of the US Census: what it answers from rows of single countries.

Totals of all countries, country groups, headings, echoed predicates, 204 and the pages for a missing
or unknown key are made here as the interface makes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ingest.clients.census_api import headings
from tests.replay import Asked, Replay, Reply

PATH = "/data/timeseries/intltrade"
COMMODITY = {"imports": "I_COMMODITY", "exports": "E_COMMODITY"}
COUNTRIES = {
    "1000": "UNITED STATES",
    "1220": "CANADA",
    "4279": "FRANCE",
    "4280": "GERMANY",
    "5082": "GAZA STRIP ADMINISTERED BY ISRAEL",
    "5700": "CHINA",
    "5880": "JAPAN",
    "7660": "CONGO (KINSHASA)",
}
GROUPS = {"0003": ("EUROPEAN UNION", ("4279", "4280")), "5XXX": ("ASIA", ("5082", "5700", "5880"))}
# 8505200000 and 8507100030 are lines of no mapped code, 0101210000 one of no mapped heading.
LINES = (
    "2504101000",
    "2504900000",
    "2846902010",
    "2846908090",
    "8505110070",
    "8505200000",
    "8507100030",
    "8507600020",
    "0101210000",
)
VALUES = {
    "imports": ("GEN_VAL_MO", "CON_VAL_MO", "CON_VAL_YR", "GEN_QY1_MO"),
    "exports": ("ALL_VAL_MO", "QTY_1_MO"),
}


def trade(direction: str, *, scale: int = 1, lines: Iterable[str] = LINES) -> pl.DataFrame:
    """Generate one month: every country in every line, no two values alike."""
    rows = []
    for at, line in enumerate(lines):
        for place, (code, name) in enumerate(COUNTRIES.items()):
            value = scale * (1000 * (at + 1) + 10 * place + 7)
            numbers = dict(zip(VALUES[direction], (value, value - 5, 12 * value, place), strict=False))
            rows.append({"CTY_CODE": code, "CTY_NAME": name, COMMODITY[direction]: line, **numbers, "UNIT_QY1": "KG"})
    return pl.DataFrame(rows)


@dataclass
class Census:
    """What the interface holds.

    Attributes:
        held: single countries by direction and month; columns are the interface's variables, numbers as integers.
        key: the only key it accepts; None answers without one.
        groups: rows of country groups, by direction, in place of sums of ``GROUPS``.
        twice: whether a variable that is asked for and filtered by comes twice.
        made: rows with totals and groups, by frame and level.
    """

    held: dict[tuple[str, str], pl.DataFrame]
    key: str | None = None
    groups: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    twice: bool = True
    made: dict[tuple[int, str], tuple[pl.DataFrame, pl.DataFrame]] = field(default_factory=dict)

    def serve(self, server: Replay) -> None:
        """Answer on a replay server."""
        for direction in COMMODITY:
            server.on(f"{PATH}/{direction}/hs", lambda asked, direction=direction: self.answer(direction, asked))
        page = b"<html><body>A valid <em>key</em> must be included with each request.</body></html>"
        for name in ("missing_key", "invalid_key"):
            server.on(f"/data/{name}.html", lambda _: Reply(page, kind="text/html"))

    def answer(self, direction: str, asked: Asked) -> Reply:
        """Answer one request."""
        query = dict(asked.query)
        key = query.pop("key", None)
        if self.key is not None and key != self.key:
            page = "missing_key" if key is None else "invalid_key"
            return Reply(b"", 302, {"Location": f"/data/{page}.html", "X-DataWebAPI-KeyError": "1"}, "text/html")
        names = query.pop("get").split(",")
        commodity = COMMODITY[direction]
        singles = self.held.get((direction, query["time"]))
        if singles is None:
            return Reply(b"", 204)
        if unknown := [name for name in names if name not in (*singles.columns,)]:
            return Reply(f"error: unknown variable '{unknown[0]}'".encode(), 400, kind="text/plain")
        rows = self._rows(direction, singles, query["COMM_LVL"])
        if wanted := query.get(commodity):
            rows = rows.filter(pl.col(commodity).str.starts_with(wanted.rstrip("*")))
        if place := query.get("CTY_CODE"):
            rows = rows.filter(CTY_CODE=place)
        if rows.is_empty():
            return Reply(b"", 204)
        echo = [name for name in query if self.twice or name not in names]
        known = {name: pl.lit(value) for name, value in query.items() if name not in rows.columns}
        table = rows.with_columns(pl.all().cast(pl.String)).with_columns(**known)
        cells = [table[name].to_list() for name in (*names, *echo)]
        return Reply(as_text([[*names, *echo], *map(list, zip(*cells, strict=True))]))

    def _rows(self, direction: str, singles: pl.DataFrame, level: str) -> pl.DataFrame:
        # The frame stays in the value, so that its id is not given to another.
        if (id(singles), level) not in self.made:
            digits = int(level.removeprefix("HS"))
            lines = singles.with_columns(pl.col(COMMODITY[direction]).str.slice(0, digits))
            self.made[id(singles), level] = (singles, self._with_totals(direction, lines))
        return self.made[id(singles), level][1]

    def _with_totals(self, direction: str, singles: pl.DataFrame) -> pl.DataFrame:
        sums = [name for name in VALUES[direction] if name in singles.columns]
        commodity = COMMODITY[direction]
        rest = [name for name in singles.columns if name not in (*sums, commodity, "CTY_CODE", "CTY_NAME")]

        def summed(rows: pl.DataFrame, code: str, name: str) -> pl.DataFrame:
            added = rows.group_by(commodity, maintain_order=True).agg(pl.col(sums).sum(), pl.col(rest).first())
            named = added.with_columns(CTY_CODE=pl.lit(code), CTY_NAME=pl.lit(name))
            return named.select(singles.columns)

        keys = ["CTY_CODE", "CTY_NAME", commodity]
        own = singles.group_by(keys, maintain_order=True).agg(pl.col(sums).sum(), pl.col(rest).first())
        parts = [summed(singles, "-", "TOTAL FOR ALL COUNTRIES"), own.select(singles.columns)]
        if direction in self.groups:
            parts.append(self.groups[direction].select(singles.columns))
        else:
            members = (
                (code, name, singles.filter(pl.col("CTY_CODE").is_in(held))) for code, (name, held) in GROUPS.items()
            )
            parts += [summed(rows, code, name) for code, name, rows in members if rows.height]
        return pl.concat(parts)


def as_text(table: list[list[str | None]]) -> bytes:
    """Print as the interface does: one row a line."""
    return ("[" + ",\n".join(json.dumps(row) for row in table) + "]").encode()


def one_month(month: str = "2025-01", **more: object) -> Census:
    """An interface that holds one generated month of both directions."""
    return Census({(direction, month): trade(direction) for direction in COMMODITY}, **more)  # type: ignore[arg-type]


def real_year(folder: Path, year: str = "2024") -> Census:
    """The real imports of a year of some 50 countries; the total is their sum, the group row the real one."""
    real = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob(f"{year}-hs10-imports*.parquet"))])
    rows = real.filter(pl.col("I_COMMODITY").str.slice(0, 4).is_in(sorted(headings()))).select(
        "CTY_CODE", "CTY_NAME", "I_COMMODITY", pl.col("CON_VAL_YR").cast(pl.Int64)
    )
    single = pl.col("CTY_CODE").str.contains(r"^[1-9]")
    listed = pl.col("I_COMMODITY").is_in(rows.filter(single)["I_COMMODITY"].unique().to_list())
    return Census({("imports", f"{year}-12"): rows.filter(single)}, groups={"imports": rows.filter(~single, listed)})


def real_exports(folder: Path, month: str) -> pl.DataFrame:
    """Real exports of a month to the countries there are series of; these hold no quantity, so it is 0 here."""
    parts = [pl.read_parquet(path).filter(time=month) for path in sorted(folder.glob("*data-combined.parquet"))]
    return pl.concat(parts).select(
        "CTY_CODE",
        "CTY_NAME",
        "E_COMMODITY",
        pl.col("ALL_VAL_MO").cast(pl.Int64),
        QTY_1_MO=pl.lit(0, pl.Int64),
        UNIT_QY1=pl.lit("-"),
    )
