"""The likeliest distribution of losses whose mean is a given one: what a score test takes for the truth under its null.

Among all distributions on the seen values and one unseen atom at the upper bound, the nonparametric likelihood is
largest, given a mean above the observed one, at

    p_j = (c_j / n) / (a - tau v_j),    sum of p = 1,    tau >= 0, a >= tau * max(upper, largest v),

where what the seen values leave over sits on the atom (empirical likelihood, Owen 1988, with Tango's 1998 unseen cell).
Several tasks share one multiplier, tau_t = lambda * weight_t / n_t, which is what maximising their joint likelihood
under a given weighted mean asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.quadrature import Vector

_ROOT = 1e-14
"""Relative accuracy of the roots; the p-values that rest on them are good to about 1e-10."""


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of one task, collapsed to distinct values.

    Attributes:
        values: Distinct losses, shape (U,).
        shares: Share of the documents with each, shape (U,), summing to 1.
        n_units: Documents; fewer where documents share passages, as many as carry the same information.
        weight: Of the task in the mean over tasks.
        upper: Largest loss that a document can have.
    """

    values: Vector
    shares: Vector
    n_units: float
    weight: float = 1.0
    upper: float = 1.0

    @property
    def mean(self) -> float:
        """Observed mean."""
        return float(self.shares @ self.values)

    @property
    def variance(self) -> float:
        """Observed variance, with the divisor n."""
        return float(self.shares @ np.square(self.values - self.mean))


def collapse(losses: npt.ArrayLike, *, weight: float = 1.0, n_units: float | None = None, upper: float = 1.0) -> Losses:
    """Return the distinct values of per-document losses, shape (n,), with their shares.

    Example:
        >>> made = collapse([0.0, 0.0, 1.0, 0.0])
        >>> made.values.tolist(), made.shares.tolist()
        ([0.0, 1.0], [0.75, 0.25])
    """
    # Rounding joins values that differ by the order of their summation only.
    given: Vector = np.asarray(losses, dtype=np.float64)
    values, counts = np.unique(given.round(12), return_counts=True)
    n = int(counts.sum())
    return Losses(values, counts / n, float(n if n_units is None else n_units), weight, upper)


def constrained_error(tasks: Sequence[Losses], mean: float) -> float:
    """Return the standard error of the weighted mean over tasks if its true value were `mean`.

    Args:
        tasks: Losses of each task.
        mean: Above the observed mean and below the weighted upper bounds.

    Example:
        >>> round(constrained_error([collapse([0.0] * 100)], 0.01) ** 2, 8)  # an unseen loss of 1: 0.01 * 0.99 / 100
        9.9e-05
    """
    if len(tasks) == 1:
        multipliers = [_multiplier(tasks[0], mean / tasks[0].weight)]
    else:
        common = _common_multiplier(tasks, mean)
        multipliers = [common * task.weight / task.n_units for task in tasks]
    variances = [tilted(task, tau)[1] for task, tau in zip(tasks, multipliers, strict=True)]
    return float(np.sqrt(sum(t.weight**2 * v / t.n_units for t, v in zip(tasks, variances, strict=True))))


def tilted(task: Losses, tau: float) -> tuple[float, float]:
    """Return mean and variance of the losses tilted upwards by the multiplier `tau` >= 0."""
    p = task.shares / (_normaliser(task, tau) - tau * task.values)
    atom = max(0.0, 1.0 - float(p.sum()))
    mean = float(p @ task.values) + atom * task.upper
    variance = float(p @ np.square(task.values - mean)) + atom * (task.upper - mean) ** 2
    return mean, variance


def _normaliser(task: Losses, tau: float) -> float:
    """Return a: the root of sum of shares / (a - tau v) = 1, or its bound where the atom takes what is left over.

    The sum is convex and falls with a, so Newton's steps from below the root never pass it.
    """
    values, shares = task.values, task.shares
    a = max(tau * task.upper, tau * values[-1] + shares[-1], 1 + tau * task.mean)
    for _ in range(200):
        distance = a - tau * values
        if distance[-1] <= 0:  # the largest value is the bound itself and tau is huge
            return float(tau * values[-1] + shares[-1])
        terms = shares / distance
        step = (float(terms.sum()) - 1) / float((terms / distance).sum())
        if step <= _ROOT * a:
            return float(a)
        a += step
    return float(a)


def _multiplier(task: Losses, mean: float) -> float:
    """Return tau for which the tilted mean of one task is `mean`.

    Where the atom is in use, a = tau * upper and hence tau = 1 / (upper - mean); else a = 1 + tau * mean.
    """
    from scipy.optimize import brentq

    def slope(tau: float) -> float:
        return float(task.shares @ ((mean - task.values) / (1 + tau * (mean - task.values))))

    largest = 1 / (task.upper - mean)
    if task.values[-1] >= task.upper:
        largest *= 1 - float(task.shares[-1])  # where the terms of the largest value alone reach 1
    if slope(largest) >= 0:
        return largest
    return float(brentq(slope, 0.0, largest, xtol=_ROOT * largest, rtol=_ROOT)) if slope(0.0) > 0 else 0.0


def _common_multiplier(tasks: Sequence[Losses], mean: float) -> float:
    """Return lambda for which the weighted mean over tasks of the tilted means is `mean`.

    tau = 1 / (upper - m) tilts every task to a mean of m or more, which bounds the root.
    """
    from scipy.optimize import brentq

    def excess(common: float) -> float:
        means = (task.weight * tilted(task, common * task.weight / task.n_units)[0] for task in tasks)
        return sum(means) - mean

    level = mean / sum(task.weight for task in tasks)
    largest = max(task.n_units / (task.weight * (task.upper - level)) for task in tasks)
    if excess(largest) <= 0:
        return largest
    return float(brentq(excess, 0.0, largest, xtol=_ROOT * largest, rtol=_ROOT)) if excess(0.0) < 0 else 0.0
