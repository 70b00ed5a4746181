"""Parameters of mirror reconciliation: their names and where they are read.

What belongs here: the typed view of ``reference/mirror_parameters.csv``. What does not: any value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache

from ingest.errors import BadInput
from ingest.mapping import reference

FILE = "mirror_parameters.csv"


@dataclass(frozen=True)
class Parameters:
    """One figure each; units and reasons stand in ``mirror_parameters.csv``."""

    disagreement_floor_quantile: float
    markup_cap: float
    markup_fallback: float
    markup_removed: float
    markup_min_flows: float
    exporter_variance_share: float
    prior_flows: float
    mean_power: float
    set_aside_fold: float
    disagree_fold: float
    odd_unit_value_fold: float
    odd_unit_value_mads: float
    unit_value_min_flows: float

    def __post_init__(self) -> None:
        """Refuse figures that no reconciliation could use."""
        shares = (self.exporter_variance_share, self.markup_removed, self.mean_power, self.disagreement_floor_quantile)
        folds = (self.markup_cap, self.markup_fallback, self.set_aside_fold, self.disagree_fold)
        sound = (
            all(0 <= share <= 1 for share in shares)
            and all(fold >= 1 for fold in folds)
            and 0 < self.exporter_variance_share < 1
            and self.prior_flows > 0
            and not any(math.isnan(getattr(self, field.name)) for field in fields(self))
        )
        if not sound:
            raise BadInput(
                f"parameters of mirror reconciliation: {self}. Shares and exponents lie in 0..1, folds are 1 or more, "
                f"prior_flows is above 0: correct ingest/reference/{FILE}."
            )


@cache
def parameters() -> Parameters:
    """Read the parameters.

    Raises:
        BadInput: a parameter is missing, unknown, or no number of its range.
    """
    rows = dict(reference(FILE).select("parameter", "value").iter_rows())
    expected = {field.name for field in fields(Parameters)}
    if set(rows) != expected:
        raise BadInput(f"ingest/reference/{FILE}: expected the parameters {sorted(expected)}, found {sorted(rows)}.")
    try:
        return Parameters(**{name: float(value) for name, value in rows.items()})
    except (TypeError, ValueError):
        raise BadInput(f"ingest/reference/{FILE}: every value is a number, found {rows}.") from None
