"""Several tests in one family: adjusted p-values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aurac.errors import CurveError
from aurac.statistics.refused import check_name


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p-values, in the order given; the family-wise error stays below the level.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005])
        [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def unadjusted(p_values: Sequence[float]) -> list[float]:
    """Return the p-values as they are, for a family of one or a report that says so."""
    return [float(p) for p in p_values]


ADJUSTMENTS: dict[str, Callable[[Sequence[float]], list[float]]] = {"holm": holm, "none": unadjusted}
"""Name -> function from the p-values of a family to adjusted ones."""


def adjust(p_values: Sequence[float], adjustment: str = "holm") -> list[float]:
    """Return p-values adjusted by a name in `ADJUSTMENTS`.

    Raises:
        CurveError: If a p-value is outside 0..1.
        RefusedError: For "tukey" and "dunnett", which are unpaired.
    """
    check_name("adjustment", adjustment, ADJUSTMENTS)
    for p in p_values:
        if not 0 <= p <= 1:
            raise CurveError(f"p-value {p:g} is not between 0 and 1.")
    return ADJUSTMENTS[adjustment](p_values)
