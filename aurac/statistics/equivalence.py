"""Not worse by more than a margin, or equal within it: tests in which "no difference found" is no evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.estimate import Estimate
from aurac.statistics.intervals import estimate_mean


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests.

    Attributes:
        p_value: The larger of the two; small means equal within the margin.
        p_lower: Against "the difference is -margin or less".
        p_upper: Against "the difference is +margin or more".
        margin: In the unit of the score.
        value: The mean difference.
    """

    p_value: float
    p_lower: float
    p_upper: float
    margin: float
    value: float


def non_inferiority(losses: npt.ArrayLike, margin: float, *, bounded: bool = True) -> float:
    """Return the p-value against "the mean loss is `margin` or more", from per-document losses, shape (n,).

    p = T_{n-1}((mean - margin) / se). Losses without spread have no t; scores in [0, 1] then still allow the bound
    (1 - q)^n, with q the share of deviating documents that a mean loss of `margin` would need.

    Raises:
        CurveError: If the margin is not positive, or there is no spread in unbounded losses.

    Example:
        >>> non_inferiority([0.0] * 100, 0.01)  # 0.99^100
        0.36603...
    """
    values = np.asarray(losses, dtype=np.float64)
    estimate = estimate_mean(values)
    if estimate.stderr > 0:
        return loss_p(estimate, margin)
    if not bounded:
        raise CurveError("all documents have the same loss, so an unbounded metric shows no spread to test against.")
    share = (check_margin(margin) - estimate.value) / (1 - estimate.value) if estimate.value < 1 else 0.0
    return float((1 - min(1.0, max(0.0, share))) ** len(values))


def loss_p(estimate: Estimate, margin: float) -> float:
    """Return T_df((value - margin) / SE), the p-value against "the loss is `margin` or more"."""
    from scipy.special import stdtr

    return float(stdtr(estimate.df, (estimate.value - check_margin(margin)) / estimate.stderr))


def equivalence(differences: npt.ArrayLike, margin: float, *, bounded: bool = True) -> Equivalence:
    """Test whether a mean difference lies within ±margin (Schuirmann 1987), from per-document differences, shape (n,).

    It does at level alpha exactly when the (1 - 2 alpha) interval lies inside ±margin.

    Example:
        >>> round(equivalence([0.1, -0.1, 0.1, -0.1], 0.5).p_value, 4)  # t = -0.5 / 0.0577, df 3
        0.0016
    """
    d = np.asarray(differences, dtype=np.float64)
    lower, upper = (non_inferiority(sign * d, margin, bounded=bounded) for sign in (-1, 1))
    return Equivalence(max(lower, upper), lower, upper, margin, float(d.mean()))


def check_margin(margin: float) -> float:
    """Return a positive margin, or raise `CurveError`."""
    if not margin > 0:
        raise CurveError(f"margin {margin:g} is not positive. Give the largest loss that is acceptable, such as 0.01.")
    return margin
