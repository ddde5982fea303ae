"""Means over tasks: the tasks are fixed, their documents are sampled independently."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aurac.statistics.estimate import Estimate


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
