"""What the notes beside the figures of MCS world tables say about a figure.

What belongs here: applying ``reference/mcs_note_rules.csv``. Notes are prose and stay behind; what
remains of them is whether a figure is estimated and, for a blank cell, the token that the edition
prints in the note instead (W, NA, Large). What does not: the rules themselves.
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import reference

_FILE = "mcs_note_rules.csv"


def _applies(rule: dict[str, str | None]) -> pl.Expr:
    """Say which rows a rule speaks about (``years`` = first leaves the newest year)."""
    noted = pl.col("note").str.contains(f"(?i){rule['pattern']}").fill_null(False)
    measured = pl.lit(True) if rule["measure"] == "*" else pl.col("measure") == rule["measure"]
    dated = ~pl.col("newest") if rule["years"] == "first" else pl.lit(True)
    return noted & measured & dated


def _token(rule: dict[str, str | None], applies: pl.Expr) -> pl.Expr:
    r"""Give the printed token: the rule's own, or what its pattern captures (``\1``)."""
    value = str(rule["value"])
    taken = pl.col("note").str.extract(f"(?i){rule['pattern']}", 1) if value == r"\1" else pl.lit(value)
    bare = pl.col("printed").is_null() | (pl.col("printed") == "NA")
    return pl.when(applies & bare).then(taken).otherwise(pl.col("printed")).alias("printed")


def with_notes(frame: pl.DataFrame, vintage: str) -> pl.DataFrame:
    """Apply the note rules of one edition in the order of the file.

    Args:
        frame: has ``note``, ``measure``, ``newest`` (the edition's newest year), ``printed``, ``estimated``.
        vintage: edition.

    Returns:
        The frame with ``printed`` filled where a note holds the token of a blank or ``NA`` cell,
        and ``estimated`` set or cleared where a note says so.
    """
    rules = reference(_FILE).filter(pl.col("vintage").is_in(["*", vintage]))
    for rule in rules.iter_rows(named=True):
        applies = _applies(rule)
        if rule["effect"] == "token":
            frame = frame.with_columns(_token(rule, applies))
        else:
            says = pl.lit(rule["effect"] == "estimated")
            frame = frame.with_columns(estimated=pl.when(applies).then(says).otherwise(pl.col("estimated")))
    return frame
