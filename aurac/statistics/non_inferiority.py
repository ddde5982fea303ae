"""Is the loss smaller than a margin? A score test, over one task or several, and the bound that inverts it.

z = (observed mean - margin) / SE, with the standard error that the mean would have if the loss were the margin
(`aurac.statistics.tilting`). For right and wrong answers on one task this is Tango's (1998) test. The usual one-sided t
takes the error from the observed losses, and where documents are only lost, mean and error are too small together: at a
nominal 5 % it errs with 9 to 12 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aurac.statistics.student import cumulative, quantile
from aurac.statistics.tilting import Losses, constrained_error


@dataclass(frozen=True)
class LossTest:
    """What the documents say about a loss.

    Attributes:
        p_value: One-sided, against "the loss is `margin` or more"; 0.5 where the observed loss is.
        upper: Bound of the loss at level alpha: the smallest margin whose p-value is alpha or less.
        detectable: Margin that losses of the same spread, but a mean of 0, would be certified for with 80 % power.
    """

    p_value: float
    upper: float
    detectable: float


def loss_test(
    tasks: Sequence[Losses], margin: float, *, alpha: float = 0.05, df: float = math.inf, power: float = 0.8
) -> LossTest:
    """Test a weighted mean of losses over tasks against a margin.

    Args:
        tasks: Losses of each task; their weights sum to 1.
        margin: Largest acceptable loss.
        alpha: Level of the bound.
        df: Of the error, where passages are few; infinite for documents drawn one by one.
        power: Of `LossTest.detectable`.

    Example:
        >>> from aurac.statistics.tilting import collapse
        >>> made = loss_test([collapse([0.0] * 100)], 0.03)  # z = -0.03 / sqrt(0.03 * 0.97 / 100)
        >>> round(made.p_value, 4), round(made.upper, 4)  # and 1.645^2 / (100 + 1.645^2)
        (0.0393, 0.0263)
    """
    return LossTest(
        loss_p(tasks, margin, df=df),
        loss_bound(tasks, alpha=alpha, df=df),
        detectable_loss(tasks, alpha, power, df=df),
    )


def loss_p(tasks: Sequence[Losses], margin: float, *, df: float = math.inf) -> float:
    """Return the one-sided p-value against "the weighted mean loss is `margin` or more".

    Example:
        >>> from aurac.statistics.tilting import collapse
        >>> round(loss_p([collapse([0.0] * 20)], 0.05), 6)  # z = -sqrt(20 * 0.05 / 0.95)
        0.152451
    """
    mean = observed_mean(tasks)
    if mean >= margin:
        return 0.5
    if margin >= largest_mean(tasks):
        return 0.0
    return cumulative((mean - margin) / constrained_error(tasks, margin), df)


def loss_bound(tasks: Sequence[Losses], *, alpha: float = 0.05, df: float = math.inf) -> float:
    """Return the upper bound of the weighted mean loss at level `alpha` < 0.5: where `loss_p` is alpha."""
    return bound_at(tasks, quantile(1 - alpha, df))


def bound_at(tasks: Sequence[Losses], critical: float) -> float:
    """Return the largest weighted mean loss that is less than `critical` of its own standard errors above the observed.

    Example:
        >>> from aurac.statistics.tilting import collapse
        >>> round(bound_at([collapse([0.0] * 96)], 2.0), 6)  # 2^2 / (96 + 2^2)
        0.04
    """
    mean = observed_mean(tasks)
    return _crossing(lambda margin: margin - mean - critical * constrained_error(tasks, margin), tasks)


def observed_mean(tasks: Sequence[Losses]) -> float:
    """Return the weighted mean over tasks of the observed losses."""
    return math.fsum(task.weight * task.mean for task in tasks)


def largest_mean(tasks: Sequence[Losses]) -> float:
    """Return the weighted mean over tasks if every document had the largest loss."""
    return math.fsum(task.weight * task.upper for task in tasks)


def detectable_loss(tasks: Sequence[Losses], alpha: float, power: float, *, df: float = math.inf) -> float:
    """Return the margin that losses of the same spread, but with a mean of 0, would be certified for with this power.

    They are shifted to a mean of 0, and observed at the percentile of that mean which the power asks for.
    """
    still = [_shifted(task) for task in tasks]
    error = math.sqrt(sum(t.weight**2 * t.variance / t.n_units for t in still))
    reached, critical = quantile(power, df) * error, quantile(1 - alpha, df)
    return _crossing(lambda margin: margin - reached - critical * constrained_error(still, margin), still)


def _shifted(task: Losses) -> Losses:
    values = task.values - task.mean
    return replace(task, values=values, upper=max(task.upper, float(values[-1])))


def _crossing(excess: Callable[[float], float], tasks: Sequence[Losses]) -> float:
    """Return the margin where `excess` becomes positive; it is negative at the observed mean, positive at the end."""
    from scipy.optimize import brentq

    low, high = observed_mean(tasks), largest_mean(tasks)
    if low >= high:
        return high
    near = 1e-12 * (high - low)
    low, high = low + near, high - near
    if excess(high) <= 0:
        return largest_mean(tasks)
    return low if excess(low) >= 0 else float(brentq(excess, low, high, xtol=1e-12))
