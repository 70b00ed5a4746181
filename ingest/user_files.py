"""Files that the user keeps in ``ORETRACE_HOME/user``: reading them, and refusing them by line and column.

What belongs here: the shape of such a file and the wording of a refusal. What does not: what the columns
mean (the transform that reads the file).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import BadInput


@dataclass(frozen=True)
class Line:
    """One line of a csv file.

    Attributes:
        path: the file.
        number: line number as an editor shows it; the header is 1.
        cells: text by column, outer blanks removed.
    """

    path: Path
    number: int
    cells: dict[str, str]

    def refuse(self, column: str, expected: str) -> BadInput:
        """The error for one cell: file, line, column, what it holds, what was expected."""
        held = self.cells[column]
        return BadInput(f"{self.path}, line {self.number}, column {column}: {held!r}. Expected {expected}.")


def csv_lines(path: Path, columns: Sequence[str]) -> Iterator[Line]:
    """Read a csv file (UTF-8, comma between cells) with a header.

    Args:
        path: the file.
        columns: what the header must hold, in any order.

    Yields:
        One ``Line`` per line that is not blank.

    Raises:
        BadInput: not UTF-8, another header, or a line with more or fewer cells than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8 csv.") from None
    rows = csv.reader(text.splitlines())
    header = [name.strip() for name in next(rows, [])]
    if sorted(header) != sorted(columns):
        raise BadInput(
            f"{path}, line 1: expected the columns {', '.join(columns)}; found {', '.join(header) or 'none'}."
        )
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise BadInput(
                f"{path}, line {rows.line_num}: {len(row)} cells, expected {len(header)}. "
                "A text that holds a comma stands in double quotes."
            )
        yield Line(path, rows.line_num, {name: cell.strip() for name, cell in zip(header, row, strict=True)})
