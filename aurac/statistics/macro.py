"""Means over tasks: the tasks are fixed, their documents are sampled independently."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.flat import flat_interval
from aurac.statistics.intervals import estimate_mean, t_interval
from aurac.statistics.paired import PairedDifference
from aurac.statistics.sign_flip import sign_flip_p


def macro_mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the unweighted mean over T tasks, SE = sqrt(sum of V_t) / T, df after Satterthwaite (1946).

    Example:
        >>> macro_mean([Estimate(0.2, 0.03, 9), Estimate(0.4, 0.04, 9)]).stderr  # sqrt(0.0009 + 0.0016) / 2
        0.025
    """
    variances = [e.stderr**2 for e in estimates]
    spread = sum(v**2 / e.df for v, e in zip(variances, estimates, strict=True))
    df = sum(variances) ** 2 / spread if spread > 0 else sum(e.df for e in estimates)
    value = math.fsum(e.value for e in estimates) / len(estimates)
    return Estimate(value, macro_stderr([e.stderr for e in estimates]), df)


def macro_stderr(stderrs: Sequence[float]) -> float:
    """Return sqrt(sum of SE_t^2) / T, the standard error of the unweighted mean over T tasks.

    Example:
        >>> macro_stderr([0.03, 0.04])  # sqrt(0.0009 + 0.0016) / 2
        0.025
    """
    return math.hypot(*stderrs) / len(stderrs)


def macro_interval(
    estimates: Sequence[Estimate],
    n_documents: Sequence[int],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence_level: float = 0.95,
) -> Interval:
    """Return an interval of the mean over tasks: mean ± t * SE, and wider where a task has no spread.

    A task on which nothing varies adds nothing to the SE, but it is not exact: it has the interval that its number of
    documents leaves open. The ends of these intervals and of the t interval of the other tasks are averaged, each at
    the level that holds for all together (Bonferroni).

    Example:
        >>> parts = [Estimate(0.5, 0.03, 99), Estimate(0.0, 0.0, 63)]
        >>> interval = macro_interval(parts, [100, 64])
        >>> round(interval.low, 3), round(interval.high, 3)  # (0.5 -+ 2.276 * 0.03 + (0, 1 - 0.0125 ** (1 / 64))) / 2
        (0.216, 0.317)
    """
    flat = [(e.value, n) for e, n in zip(estimates, n_documents, strict=True) if e.stderr == 0]
    spread = [e for e in estimates if e.stderr > 0]
    if not flat:
        return t_interval(macro_mean(estimates), confidence_level=confidence_level)
    each = 1 - (1 - confidence_level) / (len(flat) + bool(spread))
    parts = [flat_interval(value, n, bounds=bounds, confidence_level=each) for value, n in flat]
    if spread:
        parts += [t_interval(macro_mean(spread), confidence_level=each)] * len(spread)
    low, high = (math.fsum(ends) / len(parts) for ends in ([p.low for p in parts], [p.high for p in parts]))
    return Interval(low, high, confidence_level, "t and binomial")


def macro_difference(
    differences: Sequence[PairedDifference],
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> PairedDifference:
    """Return the mean difference over tasks of scores in [0, 1].

    Every document is flipped by itself, weighted as it is in the mean.
    """
    estimates = [estimate_mean(d.differences) for d in differences]
    estimate = macro_mean(estimates)
    pooled = np.concatenate([d.differences / (len(differences) * d.n_documents) for d in differences])
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=macro_interval(
            estimates,
            [d.n_documents for d in differences],
            bounds=(-1.0, 1.0),
            confidence_level=confidence_level,
        ),
        p_value=sign_flip_p(pooled, n_resamples=n_resamples, rng=rng),
        n_documents=len(pooled),
        wins=sum(d.wins for d in differences),
        ties=sum(d.ties for d in differences),
        losses=sum(d.losses for d in differences),
        differences=pooled,
    )
