"""A random part of a finite benchmark: how many documents an interval needs, and the error of the part's mean.

The target is the mean over the whole benchmark. What was asked is part of it, so the error is smaller than that for
new documents by the finite population correction, sqrt(1 - n / N) (Cochran 1977, section 2.6), and 0 at n = N.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.estimate import Estimate, check_level
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.student import quantile


def documents_needed(values: npt.ArrayLike, n_total: int, half_width: float, *, confidence_level: float = 0.95) -> int:
    """Return how many of N documents give an interval of this half-width, from those of a pilot.

    n = 1 / (1/N + (h / (t s))^2), rounded up, with s the spread in the pilot and t at its degrees of freedom; never
    fewer than the pilot has, nor more than N.

    Args:
        values: Score of each document of the pilot, shape (m,), m >= 2.
        n_total: Documents of the benchmark.
        half_width: Of the interval of the mean over the benchmark, in the unit of the values.
        confidence_level: Of that interval.

    Raises:
        CurveError: For a half-width that is not positive.

    Example:
        >>> documents_needed([0.0, 1.0] * 50, 10_042, 0.02)  # t s = 1.984 * .5025 = .997, h / (t s) = .0201
        1993
    """
    if not half_width > 0:
        raise CurveError(f"a half-width of {half_width:g} is not positive. Give one such as 0.01, which is one point.")
    pilot = estimate_mean(values)
    m = len(np.asarray(values))
    spread = quantile((1 + check_level(confidence_level)) / 2, pilot.df) * pilot.stderr * math.sqrt(m)
    if spread == 0:
        return min(m, n_total)
    return max(min(m, n_total), math.ceil(1 / (1 / n_total + (half_width / spread) ** 2)))


def estimate_part(values: npt.ArrayLike, n_total: int) -> Estimate:
    """Estimate the mean over a benchmark of N documents from a random part of them, shape (n,).

    Example:
        >>> estimate_part([0.0, 1.0, 1.0, 0.0], 8).stderr == estimate_mean([0.0, 1.0, 1.0, 0.0]).stderr * 0.5**0.5
        True
    """
    n = len(np.asarray(values))
    if n > n_total:
        raise CurveError(
            f"{n} documents are no part of {n_total}. Give the number of documents of the whole benchmark."
        )
    found = estimate_mean(values)
    return Estimate(found.value, found.stderr * math.sqrt(1 - n / n_total), found.df)
