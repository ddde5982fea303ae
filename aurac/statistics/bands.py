"""Simultaneous bands: with the stated confidence they hold the whole curve, not one rank at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.alignment import align
from aurac.statistics.clusters import linearised
from aurac.statistics.estimate import check_level
from aurac.statistics.intervals import wilson_ends
from aurac.statistics.paired import sample_of
from aurac.statistics.resample import bootstrap_means, default_rng, unique_rows
from aurac.statistics.sample import Sample, inputs_of
from aurac.statistics.score_interval import is_near_an_end, is_rough, score_ends


@dataclass(frozen=True)
class Band:
    """An interval at every rank at once; what lies between measured ranks is covered too, since bands are convex.

    Attributes:
        ranks: Measured ranks.
        estimate: Accuracy, or difference, at each rank, shape (K,).
        low: Lower edge, shape (K,).
        high: Upper edge, shape (K,).
        critical: c, the quantile of max over ranks of |m*_k - m_k| / se_k over resampled documents, as of Student's t.
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

    The edges of a bounded metric are Wilson's at c for z, so that they hold near 0 and 1 and stay inside. Those of a
    mean over tasks are the score interval's at ranks where a task lies near 0 or 1, as for its AURAC
    (`aurac.statistics.macro_score`). Where every document has the same score and c is that of a single degree of
    freedom, nothing is known: the band is open.

    Raises:
        CurveError: Without per-document scores, or with one document.
    """
    if curve.scores is None:
        raise CurveError("this curve has no per-document scores, so it has no band. Score with documents kept.")
    values = _units(curve.scores, curve)
    band = _band(curve.ranks, values, confidence_level, n_resamples, rng)
    if not curve.bounded:
        return band
    stderr = _stderr(values)
    ends = [
        wilson_ends(float(m), float(error), len(values), band.critical)
        for m, error in zip(band.estimate, stderr, strict=True)
    ]
    if curve.strata is not None and not (curve.part is not None and curve.part.is_audit):
        for k, scores in enumerate(curve.strata.values.T):
            sample = Sample(scores, curve.clusters, strata=curve.strata.labels)
            if any(is_near_an_end(float(part.values.mean())) for part in sample.parts()):
                ends[k] = score_ends(inputs_of([sample], bounds=(0.0, 1.0)), band.critical)
    return _with_edges(band, ends, stderr == 0, (0.0, 1.0))


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

    At a rank where m ± c * se is rough (`aurac.statistics.score_interval.is_rough`), as where no document differs, the
    edges are those of the score interval at c for z.

    Raises:
        ComparisonError: If the curves cannot be joined.
    """
    a, b = align([a, b], missing=missing)
    assert a.scores is not None
    assert b.scores is not None
    values = _units(a.scores - b.scores, a)
    band = _band(a.ranks, values, confidence_level, n_resamples, rng)
    if not (a.bounded and b.bounded) or any(c.part is not None and c.part.is_audit for c in (a, b)):
        return band
    identity, ends = np.eye(len(a.ranks)), list(zip(band.low.tolist(), band.high.tolist(), strict=True))
    for k, weights in enumerate(identity):
        sample = sample_of(a, b, weights, a.clusters)
        if is_rough(sample.sums(), sample.levels):
            ends[k] = score_ends(inputs_of([sample]), band.critical)
    return _with_edges(band, ends, _stderr(values) == 0, (-1.0, 1.0))


def _with_edges(
    band: Band, ends: Sequence[tuple[float, float]], flat: npt.NDArray[np.bool_], bounds: tuple[float, float]
) -> Band:
    """Return the band with these edges, inside the bounds, and open where nothing varies and nothing can be said."""
    low, high = np.clip(np.array(ends).T, *bounds)
    if math.erf(band.critical / math.sqrt(2)) == 1.0:  # c is so large that it belongs to no level
        low, high = np.where(flat, bounds[0], low), np.where(flat, bounds[1], high)
    return replace(band, low=low, high=high)


def _units(values: npt.NDArray[np.float64], curve: RankAccuracyCurve) -> npt.NDArray[np.float64]:
    """Return the values of documents, or of passages where documents share them."""
    return values if curve.clusters is None else linearised(values, curve.clusters)


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

    Many nearly independent columns give Bonferroni's value. Resampled means spread as if the standard errors were known
    and n were n - 1, so their quantile is carried over to Student's t: the c that a t statistic exceeds as rarely as a
    normal one exceeds the quantile times sqrt(n / (n - 1)). It is never below the t quantile of a single rank.
    """
    from scipy.special import ndtr, stdtrit

    single = float(stdtrit(len(values) - 1, (1 + check_level(confidence_level)) / 2))
    stderr = _stderr(values)
    spread = stderr > 0
    if not spread.any():
        return single
    rows, counts = unique_rows(values[:, spread])
    means = bootstrap_means(rows, counts, n_resamples=n_resamples, rng=default_rng(rng))
    largest = (np.abs(means - values[:, spread].mean(axis=0)) / stderr[spread]).max(axis=1)
    c, df = float(np.quantile(largest, confidence_level)), len(values) - 1
    tail = float(ndtr(-c * math.sqrt((df + 1) / df)))
    return max(single, c, -float(stdtrit(df, tail)) if tail > 0 else c)


def _stderr(values: npt.NDArray[np.float64]) -> Vector:
    stderr = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.asarray(np.where(np.ptp(values, axis=0) == 0, 0.0, stderr))
