"""The heat map of an importer, its largest hidden exposures, and its table by stage: rows and reasons for pages.

What belongs here: choosing figures for the parts that several pages share. What does not: HTML, SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from website import words
from website.marts import Marts, Row

LARGEST = 10


Line = tuple[str, list[dict[str, Any]]]


@dataclass
class Reasons:
    """Why figures are missing: each reason once, with a short mark that cells carry.

    Attributes:
        texts: reason to mark, in order of first use.
    """

    texts: dict[str, str] = field(default_factory=dict)

    def mark(self, text: str) -> str:
        """Return the mark of a reason: a, b, ... z, aa."""
        if text not in self.texts:
            place, mark = len(self.texts), ""
            while True:
                mark = chr(97 + place % 26) + mark
                place = place // 26 - 1
                if place < 0:
                    break
            self.texts[text] = mark
        return self.texts[text]


@dataclass(frozen=True)
class HeatMap:
    """A table material x stage.

    Attributes:
        stages: the stages with a figure, in chain order.
        seen: lines of the materials seen through; a line is a slug and one cell per stage, a cell has ``seller`` and
            ``processor``.
        others: lines of the materials known at face value only.
        reasons: why figures are missing, by mark.
        counts: cells with a seller, cells traced.
    """

    stages: list[str]
    seen: list[Line]
    others: list[Line]
    reasons: Reasons
    counts: dict[str, int]


def heat_map(marts: Marts, importer: str) -> HeatMap:
    """Lay out an importer's dependence on its lead country by material and stage."""
    rows = marts.dependence[importer]
    shown = {
        material: {stage: row for stage, row in by_stage.items() if row["year"] == marts.year}
        for material, by_stage in rows.items()
    }
    shown = {material: cells for material, cells in shown.items() if any(_has_figure(row) for row in cells.values())}
    used = {stage for cells in shown.values() for stage, row in cells.items() if _has_figure(row)}
    stages = [stage for stage in marts.stages if stage in used]
    reasons = Reasons()
    lines = []
    for material in marts.materials:
        if material in shown:
            cells = [_cell(marts, importer, material, stage, shown[material].get(stage), reasons) for stage in stages]
            lines.append((material, cells))
    cells = [cell for _, line in lines for cell in line]
    counts = {
        "sellers": sum(cell["seller"] is not None for cell in cells),
        "traced": sum(cell["processor"] is not None for cell in cells),
    }
    seen = [line for line in lines if any(cell["processor"] for cell in line[1])]
    others = [line for line in lines if line not in seen]
    return HeatMap(stages, seen, others, reasons, counts)


def _has_figure(row: Row) -> bool:
    return row["top_processor"] is not None or row["seller"] is not None or row["top_supplier"] is not None


def _cell(marts: Marts, importer: str, material: str, stage: str, row: Row | None, reasons: Reasons) -> dict[str, Any]:
    seller = seller_of(row) if row else None
    processor = processor_of(row) if row else None
    return {
        "stage": stage,
        "seller": seller,
        "processor": processor,
        "why_seller": None if seller else reasons.mark(marts.why_no_supplier(importer, material, stage)),
        "why_processor": None if processor else reasons.mark(marts.why_not_traced(importer, material, stage)),
    }


def seller_of(row: Row) -> dict[str, Any] | None:
    """Return the lead seller at face value: of supply where the stage is traced, else of imports."""
    if row["seller"] is not None:
        return {
            "country": row["seller"], "share": row["seller_share"], "low": row["seller_low"],
            "high": row["seller_high"], "of": "supply", "basis": "tonnes contained, traced",
            "evidence": row["traced_evidence"], "period": str(row["year"]),
        }  # fmt: skip
    if row["top_supplier"] is None:
        return None
    return {
        "country": row["top_supplier"], "share": row["top_supplier_import_share"], "low": None, "high": None,
        "of": "imports", "basis": row["share_basis"], "evidence": row["evidence"], "period": row["share_period"],
    }  # fmt: skip


def processor_of(row: Row) -> dict[str, Any] | None:
    """Return the lead processor with its traced share and bounds."""
    if row["top_processor"] is None:
        return None
    return {
        "country": row["top_processor"], "share": row["top_processor_share"], "low": row["top_processor_share_low"],
        "high": row["top_processor_share_high"], "of": "supply", "basis": "tonnes contained, traced",
        "evidence": row["traced_evidence"], "period": str(row["year"]),
    }  # fmt: skip


def hidden_exposures(marts: Marts, importer: str) -> list[Row]:
    """Return the largest hidden exposures of an importer, one per material."""
    return marts.hidden.get(importer, [])[:LARGEST]


def arrows(marts: Marts, rows: list[Row], label: str) -> list[dict[str, Any]]:
    """Return the rows of an arrow chart: face value to traced with its bounds, in percent.

    Args:
        marts: for names.
        rows: rows with ``country`` and its shares at face value and processed in.
        label: ``stage``, ``material`` or ``importer``: what each arrow is named after; country and figures stand on a
            second line.
    """
    names: dict[str, dict[str, str]] = {
        "stage": marts.stages, "material": marts.materials, "importer": marts.countries,
    }  # fmt: skip
    shown = []
    for row in rows:
        name = names[label].get(row[label], row[label])
        text = f"{name}, {marts.stages[row['stage']].lower()}" if label == "material" else name
        country = marts.countries.get(row["country"], row["country"])
        face, traced = words.percent(row["face_value_share"]), words.percent(row["processed_in_share"])
        shown.append(
            {
                "label": f"{text}|{country} {face} to {traced} %",
                "country": country,
                "face": _percent(row["face_value_share"]),
                "traced": _percent(row["processed_in_share"]),
                "low": _percent(row["processed_in_share_low"]),
                "high": _percent(row["processed_in_share_high"]),
                "year": row["year"],
                "evidence": row["traced_evidence"],
            }
        )
    return shown


def lead(row: Row) -> Row:
    """Return a row of the dependence mart as one of its lead processor, for an arrow."""
    return row | {
        "country": row["top_processor"],
        "face_value_share": row["top_processor_face_value_share"],
        "processed_in_share": row["top_processor_share"],
        "processed_in_share_low": row["top_processor_share_low"],
        "processed_in_share_high": row["top_processor_share_high"],
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)
