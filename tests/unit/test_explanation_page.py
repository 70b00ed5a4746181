"""``docs/explanation.md`` tells what the program computes: its results follow from the tonnes on the page."""

from __future__ import annotations

import re

import polars as pl
import pytest

from ingest.home import PROJECT
from tracing import RULES, look_through, via

PAGE = PROJECT / "docs" / "explanation.md"
SHARES = {
    "face value": "face_value_share",
    "made in": "made_in_share",
    "processed in": "processed_in_share",
    "mine origin": "mine_origin_share",
}
HALF_OF_THE_LAST_DIGIT = 5.01e-5
"""Shares are printed with four decimals, some of them cut halfway."""


def table(*heads: str) -> pl.DataFrame:
    """Return the page's table with these column heads, tonnes and shares as numbers."""
    head = re.escape(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
    found = re.findall(rf"^{head}((?:^\|.*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, f"{PAGE.name} has {len(found)} tables with the heads {heads}"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]
    frame = pl.DataFrame(rows, schema=list(heads), orient="row")
    numbers = [name for name in heads if name in {"tonnes", "share", *SHARES}]
    return frame.with_columns(pl.col(numbers).cast(pl.Float64))


@pytest.fixture(scope="module")
def chain() -> dict[str, pl.DataFrame]:
    """The tonnes of the page, as the look-through takes them."""
    made = table("stage", "country", "tonnes").rename({"tonnes": "quantity_t"})
    moved = table("stage", "from", "to", "tonnes").rename(
        {"from": "exporter", "to": "importer", "tonnes": "quantity_t"}
    )
    return {"production": made, "flows": moved}


def magnets(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what stands behind the magnets of the United States."""
    return frame.filter(importer="USA", stage="component")


def test_the_shares_on_the_page_follow_from_its_tonnes(chain: dict[str, pl.DataFrame]) -> None:
    printed = table("country", *SHARES).rename(SHARES).sort("country")
    found = magnets(look_through(**chain)).sort("country")
    assert printed["country"].to_list() == found["country"].to_list()
    for share in SHARES.values():
        assert printed[share].to_list() == pytest.approx(found[share].to_list(), abs=HALF_OF_THE_LAST_DIGIT)


def test_the_first_hops_on_the_page_follow_from_its_tonnes(chain: dict[str, pl.DataFrame]) -> None:
    printed = table("via", "share").sort("via")
    found = magnets(via(**chain)).filter(country="CHN").sort("via")
    assert printed["via"].to_list() == found["via"].to_list()
    assert printed["share"].to_list() == pytest.approx(
        found["processed_in_share"].to_list(), abs=HALF_OF_THE_LAST_DIGIT
    )


def test_the_numbers_in_its_sentences_are_those_of_the_chain(chain: dict[str, pl.DataFrame]) -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    traced = {row["country"]: row for row in magnets(look_through(**chain)).iter_rows(named=True)}
    hidden = {name: row["processed_in_share"] - row["face_value_share"] for name, row in traced.items()}
    assert f"For China {hidden['CHN']:+.4f}" in text
    assert f"For Germany it is {hidden['DEU']:+.4f}" in text
    supply = magnets(chain["flows"])["quantity_t"].sum()
    assert f"buy {supply:.1f} t" in text
    japan = look_through(**chain).filter(importer="JPN", stage="component", country="CHN")["processed_in_share"].item()
    assert f"= {japan:.2f} of a Japanese magnet" in text
    other_rules = {
        f"{magnets(look_through(**chain, mixing=rule)).filter(country='CHN')['made_in_share'].item():.4f}"
        for rule in RULES[1:]
    }
    assert other_rules == {re.findall(r"last two leave China's made in at ([0-9.]+[0-9])", text)[0]}
