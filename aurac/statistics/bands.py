"""Simultaneous bands: with the stated confidence they hold the whole curve, not one rank at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.alignment import align
from aurac.statistics.estimate import Estimate, check_level
from aurac.statistics.flat import flat_interval
from aurac.statistics.intervals import wilson_interval
from aurac.statistics.resample import bootstrap_means, default_rng, unique_rows


@dataclass(frozen=True)
class Band:
    """m_k ± c * se_k at every rank at once; what lies between measured ranks is covered too, since bands are convex.

    Attributes:
        ranks: Measured ranks.
        estimate: Accuracy, or difference, at each rank, shape (K,).
        low: Lower edge, shape (K,).
        high: Upper edge, shape (K,).
        critical: c, the quantile of max over ranks of |m*_k - m_k| / se_k over resampled documents.
        confidence_level: Of the whole band.
        target: What is random.
    """

    ranks: tuple[int, ...]
    estimate: Vector
    low: Vector
    high: Vector
    critical: float
    confidence_level: float
    target: str = "docs"


@dataclass(frozen=True)
class Crossing:
    """Whether one curve is above the other at some ranks and below at others.

    Attributes:
        claimed: True when both `above` and `below` hold ranks; false positives are rarer than the band's level. With
            a thousand documents crossings of one point are seldom found, so False is no evidence of none.
        above: Ranks where the difference band is above 0.
        below: Ranks where it is below 0.
    """

    claimed: bool
    above: tuple[int, ...]
    below: tuple[int, ...]


def curve_band(
    curve: RankAccuracyCurve,
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> Band:
    """Return the max-t band of a curve (Montiel Olea and Plagborg-Møller 2019) over its documents.

    A rank where every document has the same score has no standard error; there the band is Wilson's interval at the
    level that belongs to c, so that it does not claim certainty.

    Raises:
        CurveError: Without per-document scores, or with one document.
    """
    if curve.scores is None:
        raise CurveError("this curve has no per-document scores, so it has no band. Score with documents kept.")
    band = _band(curve.ranks, curve.scores, confidence_level, n_resamples, rng)
    low, high = band.low.copy(), band.high.copy()
    if curve.bounded:
        n, level = len(curve.scores), math.erf(band.critical / math.sqrt(2))
        for k in np.flatnonzero(_stderr(curve.scores) == 0):
            wilson = wilson_interval(Estimate(float(band.estimate[k]), 0.0, n - 1), n, confidence_level=level)
            low[k], high[k] = wilson.low, wilson.high
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return Band(band.ranks, band.estimate, low, high, band.critical, confidence_level)


def difference_band(
    a: RankAccuracyCurve,
    b: RankAccuracyCurve,
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
    missing: str = "error",
) -> Band:
    """Return the max-t band of curve A minus curve B on the same documents.

    A rank where every document has the same difference (0, where the curves agree) has no standard error; there the
    band of a bounded metric is what the number of documents leaves open, at the level that belongs to c.

    Raises:
        ComparisonError: If the curves cannot be joined.
    """
    a, b = align([a, b], missing=missing)
    assert a.scores is not None
    assert b.scores is not None
    values = a.scores - b.scores
    band = _band(a.ranks, values, confidence_level, n_resamples, rng)
    if not a.bounded:
        return band
    low, high, level = band.low.copy(), band.high.copy(), math.erf(band.critical / math.sqrt(2))
    for k in np.flatnonzero(_stderr(values) == 0):
        left = flat_interval(float(band.estimate[k]), len(values), bounds=(-1.0, 1.0), confidence_level=level)
        low[k], high[k] = left.low, left.high
    return replace(band, low=np.clip(low, -1, 1), high=np.clip(high, -1, 1))


def crossing(band: Band) -> Crossing:
    """Read a crossing off the band of a difference (Gail and Simon 1985): above 0 at one rank, below 0 at another.

    Example:
        >>> edges = np.array([0.1, -0.3])
        >>> crossing(Band((1, 2), edges + 0.1, edges, edges + 0.2, 2.5, 0.95))
        Crossing(claimed=True, above=(1,), below=(2,))
    """
    above = tuple(rank for rank, low in zip(band.ranks, band.low, strict=True) if low > 0)
    below = tuple(rank for rank, high in zip(band.ranks, band.high, strict=True) if high < 0)
    return Crossing(bool(above) and bool(below), above, below)


def _band(
    ranks: tuple[int, ...],
    values: npt.NDArray[np.float64],
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator | None,
) -> Band:
    if len(values) < 2:
        raise CurveError("one document has no spread, so there is no band. Score at least 2 documents.")
    means, stderr = values.mean(axis=0), _stderr(values)
    c = critical_value(values, confidence_level=confidence_level, n_resamples=n_resamples, rng=rng)
    return Band(ranks, means, means - c * stderr, means + c * stderr, c, confidence_level)


def critical_value(
    values: npt.NDArray[np.float64],
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> float:
    """Return c for columns of (documents, K) values; columns without spread do not count.

    Many nearly independent columns give Bonferroni's value. A bootstrap of few documents spreads too little, hence c is
    never below the t quantile of a single rank.
    """
    from scipy.special import stdtrit

    single = float(stdtrit(len(values) - 1, (1 + check_level(confidence_level)) / 2))
    stderr = _stderr(values)
    spread = stderr > 0
    if not spread.any():
        return single
    rows, counts = unique_rows(values[:, spread])
    means = bootstrap_means(rows, counts, n_resamples=n_resamples, rng=default_rng(rng))
    largest = (np.abs(means - values[:, spread].mean(axis=0)) / stderr[spread]).max(axis=1)
    return max(single, float(np.quantile(largest, confidence_level)))


def _stderr(values: npt.NDArray[np.float64]) -> Vector:
    stderr = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.asarray(np.where(np.ptp(values, axis=0) == 0, 0.0, stderr))
