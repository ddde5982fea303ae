"""Bias-corrected and accelerated bootstrap interval (Efron 1987) for the mean of a per-document score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.estimate import Interval, check_level
from aurac.statistics.resample import acceleration, bootstrap_means, default_rng, unique_rows


def bca_interval(
    values: npt.ArrayLike,
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> Interval:
    """Return the BCa interval for the mean of `values`, shape (n,).

    The same interval as `scipy.stats.bootstrap(method="BCa")`, resampled over distinct values instead of documents.

    Raises:
        CurveError: If all values are equal: a bootstrap of them knows no spread.

    Example:
        >>> interval = bca_interval([0.0, 0.0, 1.0, 1.0] * 25)
        >>> round(interval.low, 2), round(interval.high, 2)  # 0.5 +- 1.96 * 0.05
        (0.4, 0.6)
    """
    from scipy.special import ndtr, ndtri

    a = np.asarray(values, dtype=np.float64)
    rows, counts = unique_rows(a[:, None])
    if len(rows) < 2:
        raise CurveError("all documents have the same score, so a bootstrap shows no spread. Use ci='wilson' or 't'.")
    means = bootstrap_means(rows, counts, n_resamples=n_resamples, rng=default_rng(rng))[:, 0]
    # Resampled means lie on a lattice: values equal to the estimate but for rounding count as ties.
    estimate, step = float(rows[:, 0] @ counts) / len(a), 1e-12
    below = np.count_nonzero(means < estimate - step) + np.count_nonzero(means <= estimate + step)
    z0 = ndtri(np.clip(below / (2 * n_resamples), 0.5 / n_resamples, 1 - 0.5 / n_resamples))
    z = z0 + ndtri(np.array([(1 - check_level(confidence_level)) / 2, (1 + confidence_level) / 2]))
    low, high = np.quantile(means, ndtr(z0 + z / (1 - acceleration(rows[:, 0], counts) * z)))
    return Interval(float(low), float(high), confidence_level, "bca")
