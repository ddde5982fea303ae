"""Confidence intervals for the mean of a per-document score."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.quadrature import Vector


@dataclass(frozen=True)
class Interval:
    """A confidence interval that says what it is.

    Attributes:
        low: Lower end, in the unit of the score.
        high: Upper end.
        confidence_level: Nominal coverage.
        method: "wilson" (at the effective number of documents) or "t".
        target: What is random: "docs" means new documents of this kind, for this very adapter.
    """

    low: float
    high: float
    confidence_level: float
    method: str
    target: str = "docs"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dictionary that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """Mean of a per-document score with its standard error and the degrees of freedom of the error."""

    value: float
    stderr: float
    df: float


def estimate_mean(values: npt.ArrayLike, *, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Estimate the mean of a per-document score, shape (n,).

    Without clusters the standard error is s/sqrt(n), df n-1. With clusters (documents of one passage) it is
    sqrt(G/(G-1) * sum over clusters of (sum of residuals)^2) / n, df G-1 (Liang and Zeger 1986).

    Raises:
        CurveError: With fewer than two documents or clusters, which show no spread.

    Example:
        >>> estimate_mean([0.0, 1.0, 1.0, 0.0]).stderr  # sqrt(1/3) / 2
        0.2886751345948129
    """
    a = np.asarray(values, dtype=np.float64)
    n = len(a)
    if n < 2:
        raise CurveError(f"{n} document has no spread, so there is no standard error. Score at least 2 documents.")
    if clusters is None:
        return Estimate(float(a.mean()), float(a.std(ddof=1)) / math.sqrt(n), n - 1)
    if len(clusters) != n:
        raise CurveError(f"{len(clusters)} cluster labels for {n} documents. Give one label a document.")
    names = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    if len(names) < 2:
        raise CurveError("all documents are in one cluster, so there is no standard error. Give at least 2 clusters.")
    sums = np.bincount([names[c] for c in clusters], weights=a - a.mean())
    g = len(names)
    return Estimate(float(a.mean()), math.sqrt(g / (g - 1) * float(sums @ sums)) / n, g - 1)


def t_interval(estimate: Estimate, *, confidence_level: float = 0.95) -> Interval:
    """Return mean ± t * SE."""
    from scipy.special import stdtrit

    half = float(stdtrit(estimate.df, (1 + _level(confidence_level)) / 2)) * estimate.stderr
    return Interval(estimate.value - half, estimate.value + half, confidence_level, "t")


def wilson_interval(estimate: Estimate, n_documents: int, *, confidence_level: float = 0.95) -> Interval:
    """Return Wilson's (1927) interval at the effective number of documents n_eff = m(1-m)/SE^2.

    It stays inside [0, 1] and keeps its coverage near the ceiling, where the t interval does not. A score without
    spread (all right, all wrong) takes n_eff = `n_documents`.

    Example:
        >>> wilson_interval(Estimate(0.5, 0.05, 99), 100).low  # n_eff = 100
        0.4038...
    """
    from scipy.special import ndtri

    m = min(1.0, max(0.0, estimate.value))
    n_eff = m * (1 - m) / estimate.stderr**2 if estimate.stderr > 0 and 0 < m < 1 else float(n_documents)
    z2 = float(ndtri((1 + _level(confidence_level)) / 2)) ** 2
    centre = (m + z2 / (2 * n_eff)) / (1 + z2 / n_eff)
    half = math.sqrt(z2) * math.sqrt(m * (1 - m) / n_eff + z2 / (4 * n_eff**2)) / (1 + z2 / n_eff)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), confidence_level, "wilson")


def per_document(scores: npt.NDArray[np.float64], rank_weights: Vector) -> Vector:
    """Return a_i = sum over ranks of w_k * y_ik, shape (n,): AURAC is its mean, so its spread is AURAC's error."""
    return np.asarray(scores @ rank_weights)


def _level(confidence_level: float) -> float:
    if not 0 < confidence_level < 1:
        raise CurveError(f"confidence level {confidence_level:g} is not between 0 and 1. Usual: 0.95.")
    return confidence_level
