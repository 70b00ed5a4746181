"""What the command line says when the gate stops publication can be read, and says what to do."""

from __future__ import annotations

from pathlib import Path

from orchestration.run import SHOWN, stopped_by_the_gate

REASON = (
    "mart_supplier_exposure.share_within_0_and_1 failed (critical): ExpectColumnValuesToBeBetween(largest): "
    + "importer JPN, material rare_earths, country CHN, largest 1.7; " * 12
    + "Reason: A share is a part of a whole."
)


def test_a_refusal_is_told_in_short_lines_with_the_page_and_the_way_on() -> None:
    said = stopped_by_the_gate([REASON] * 9, Path("/home/data_docs"))
    lines = said.splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(line.startswith("  - mart_supplier_exposure") for line in lines) == SHOWN
    assert "  and 3 more" in lines
    assert "1.7" in said
    assert "/home/data_docs/index.html" in said
    assert "oretrace run --no-compare" in said
