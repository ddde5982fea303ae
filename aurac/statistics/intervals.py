"""Confidence intervals for the mean of a per-document score."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.bca import bca_interval
from aurac.statistics.clusters import linearised
from aurac.statistics.estimate import Estimate, Interval, check_level
from aurac.statistics.refused import check_name
from aurac.statistics.student import quantile


def estimate_mean(values: npt.ArrayLike, *, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Estimate the mean of a per-document score, shape (n,).

    Without clusters the standard error is s/sqrt(n), df n-1. With clusters (documents of one passage) it is
    sqrt(G/(G-1) * sum over clusters of (sum of residuals)^2) / n, df G-1 (Liang and Zeger 1986).

    Raises:
        CurveError: With fewer than two documents or clusters, which show no spread.

    Example:
        >>> estimate_mean([0.0, 0.0, 1.0, 2.0, 2.0]).stderr  # sqrt(4/4) / sqrt(5)
        0.4472135954999579
    """
    a = np.asarray(values, dtype=np.float64)
    n = len(a)
    if n < 2:
        raise CurveError(f"{n} document has no spread, so there is no standard error. Score at least 2 documents.")
    # Equal values have no spread; their computed deviation may be 1e-17 instead of 0.
    spread = 0.0 if a.min() == a.max() else float(a.std(ddof=1))
    if clusters is None:
        return Estimate(float(a.mean()), spread / math.sqrt(n), n - 1)
    per_cluster = linearised(a, clusters)
    g = len(per_cluster)
    stderr = float(per_cluster.std(ddof=1)) / math.sqrt(g) if spread > 0 else 0.0
    return Estimate(float(a.mean()), stderr, g - 1)


def t_interval(estimate: Estimate, *, confidence_level: float = 0.95, target: str = "docs") -> Interval:
    """Return mean ± t * SE."""
    from scipy.special import stdtrit

    half = float(stdtrit(estimate.df, (1 + check_level(confidence_level)) / 2)) * estimate.stderr
    return Interval(estimate.value - half, estimate.value + half, confidence_level, "t", target)


def wilson_interval(
    estimate: Estimate, n_documents: int, *, confidence_level: float = 0.95, df: float = math.inf
) -> Interval:
    """Return Wilson's (1927) interval at the effective number of documents n_eff = m(1-m)/SE^2.

    It stays inside [0, 1] and keeps its coverage near the ceiling, where the t interval does not. A score without
    spread (all right, all wrong) takes n_eff = `n_documents`. With `df` the t quantile stands for z.

    Example:
        >>> wilson_interval(Estimate(0.5, 0.05, 99), 100).low  # n_eff = 100
        0.4038...
    """
    critical = quantile((1 + check_level(confidence_level)) / 2, df)
    low, high = wilson_ends(estimate.value, estimate.stderr, n_documents, critical)
    return Interval(low, high, confidence_level, "wilson")


def wilson_ends(value: float, stderr: float, n_documents: float, critical: float) -> tuple[float, float]:
    """Return the ends of Wilson's interval for any quantile: z, a t quantile, or that of a simultaneous band.

    Example:
        >>> wilson_ends(0.0, 0.0, 12, 2.0)  # 2^2 / (12 + 2^2)
        (0.0, 0.25)
    """
    m = min(1.0, max(0.0, value))
    inverse = stderr**2 / (m * (1 - m)) if stderr > 0 and 0 < m < 1 else 1 / n_documents  # 1 / n_eff
    scale = critical**2 * inverse
    centre, half = m + scale / 2, math.sqrt(scale * (m * (1 - m) + scale / 4))
    low, high = (centre - half) / (1 + scale), (centre + half) / (1 + scale)
    return 0.0 if m == 0 else max(0.0, low), 1.0 if m == 1 else min(1.0, high)


def mean_interval(
    values: npt.ArrayLike,
    *,
    confidence_level: float = 0.95,
    ci: str = "auto",
    clusters: Sequence[Hashable] | None = None,
    bounded: bool = True,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> Interval:
    """Return an interval for the mean of a per-document score, shape (n,), n >= 2.

    Args:
        values: Score of each document.
        confidence_level: Nominal coverage.
        ci: A name in `INTERVALS`. "auto" is Wilson for scores in [0, 1], t for unbounded scores. With clusters
            Wilson's takes the t quantile at G - 1 degrees of freedom, since few passages show little of their spread.
        clusters: One label a document where documents share a passage.
        bounded: Whether scores lie in [0, 1].
        n_resamples: For "bca".
        rng: For "bca"; by default seeded with 12345.

    Raises:
        CurveError: If the interval does not fit the data.
        RefusedError: For an interval known to mislead.
        UnknownNameError: For a name in no table.
    """
    check_interval_name(ci)
    a = np.asarray(values, dtype=np.float64)
    estimate = estimate_mean(a, clusters=clusters)
    if ci == "auto":
        ci = "wilson" if bounded else "t"
    if ci == "wilson":
        if not bounded:
            raise CurveError("ci='wilson' needs scores in [0, 1], and this metric is unbounded. Use ci='t'.")
        if clusters is None:
            return wilson_interval(estimate, len(a), confidence_level=confidence_level)
        df = estimate.df if estimate.stderr > 0 else math.inf  # without spread none is estimated
        return wilson_interval(estimate, round(estimate.df) + 1, confidence_level=confidence_level, df=df)
    if ci == "bca":
        if clusters is not None:
            raise CurveError("ci='bca' resamples documents one by one, not clusters. Use ci='t'.")
        return bca_interval(a, confidence_level=confidence_level, n_resamples=n_resamples, rng=rng)
    return t_interval(estimate, confidence_level=confidence_level)


INTERVALS = ("auto", "wilson", "t", "bca")


def check_interval_name(ci: str) -> None:
    """Raise `RefusedError` for an interval known to mislead, `UnknownNameError` for one in no table."""
    check_name("interval", ci, INTERVALS)


def per_document(scores: npt.NDArray[np.float64], rank_weights: Vector) -> Vector:
    """Return a_i = sum over ranks of w_k * y_ik, shape (n,): AURAC is its mean, so its spread is AURAC's error."""
    return np.asarray(scores @ rank_weights)
