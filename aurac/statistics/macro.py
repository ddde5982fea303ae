"""Means over tasks: the tasks are fixed, their documents are sampled independently."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aurac.statistics.estimate import Estimate
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


def macro_difference(
    differences: Sequence[PairedDifference],
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> PairedDifference:
    """Return the mean difference over tasks; every document is flipped by itself, weighted as it is in the mean."""
    estimate = macro_mean([estimate_mean(d.differences) for d in differences])
    pooled = np.concatenate([d.differences / (len(differences) * d.n_documents) for d in differences])
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=t_interval(estimate, confidence_level=confidence_level),
        p_value=sign_flip_p(pooled, n_resamples=n_resamples, rng=rng),
        n_documents=len(pooled),
        wins=sum(d.wins for d in differences),
        ties=sum(d.ties for d in differences),
        losses=sum(d.losses for d in differences),
        differences=pooled,
    )
