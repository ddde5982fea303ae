"""Not worse by more than a margin, or equal within it: tests in which "no difference found" is no evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.estimate import Estimate
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.non_inferiority import LossTest, loss_p
from aurac.statistics.student import quantile
from aurac.statistics.tilting import collapse


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

    Losses of scores in [0, 1] have the score test (`aurac.statistics.non_inferiority`), which allows for losses that
    were not seen so far; unbounded ones have T_{n-1}((mean - margin) / se), since nothing says how large those can be.

    Raises:
        CurveError: If the margin is not positive, or there is no spread in unbounded losses.

    Example:
        >>> round(non_inferiority([0.0] * 100, 0.03), 4)  # z = -sqrt(100 * 0.03 / 0.97)
        0.0393
    """
    check_margin(margin)
    if bounded:
        return loss_p([collapse(losses)], margin)
    estimate = estimate_mean(losses)
    if estimate.stderr == 0:
        raise CurveError("all documents have the same loss, so an unbounded metric shows no spread to test against.")
    return t_loss_p(estimate, margin)


def t_loss_p(estimate: Estimate, margin: float) -> float:
    """Return T_df((value - margin) / SE), the p-value against "the loss is `margin` or more"."""
    from scipy.special import stdtr

    return float(stdtr(estimate.df, (estimate.value - check_margin(margin)) / estimate.stderr))


def t_loss_test(estimate: Estimate, margin: float, *, alpha: float = 0.05, power: float = 0.8) -> LossTest:
    """Return `t_loss_p` with the bound that belongs to it, and the margin that a loss of 0 is certified for."""
    t = quantile(1 - alpha, estimate.df)
    detectable = (t + quantile(power, estimate.df)) * estimate.stderr
    return LossTest(t_loss_p(estimate, margin), estimate.value + t * estimate.stderr, detectable)


def equivalence(differences: npt.ArrayLike, margin: float, *, bounded: bool = True) -> Equivalence:
    """Test whether a mean difference lies within ±margin (Schuirmann 1987), from per-document differences, shape (n,).

    It does at level alpha exactly when the (1 - 2 alpha) score interval (t for unbounded scores) lies inside ±margin.

    Example:
        >>> round(equivalence([0.0] * 100, 0.03).p_value, 4)  # as `non_inferiority`, on both sides
        0.0393
    """
    d = np.asarray(differences, dtype=np.float64)
    lower, upper = (non_inferiority(sign * d, margin, bounded=bounded) for sign in (-1, 1))
    return Equivalence(max(lower, upper), lower, upper, margin, float(d.mean()))


def check_margin(margin: float, *, bounded: bool = False) -> float:
    """Return a positive margin, below 1 where the metric is `bounded` to [0, 1], or raise `CurveError`."""
    if not 0 < margin < math.inf:
        raise CurveError(f"margin {margin:g} is not positive. Give the largest loss that is acceptable, such as 0.01.")
    if bounded and margin >= 1:
        raise _WideMarginError(margin)
    return margin


class _WideMarginError(CurveError):
    """A margin that every score keeps, said in fractions and in points."""

    def __init__(self, margin: float) -> None:
        """Say what to give instead."""
        why = "so everything would be within it"
        super().__init__(
            f"margin {margin:g} is the whole range of a metric between 0 and 1, {why}. Margins are fractions: give for "
            "example margin=0.01 for one point."
        )
        self.in_points = (
            f"--margin {100 * margin:g} is the whole range of a metric between 0 and 100 points, {why}. Give points "
            "below 100, for example --margin 1."
        )
