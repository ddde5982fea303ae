"""The mean over tasks of a score, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Vector
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import per_document, t_interval
from aurac.statistics.sample import Sample, inputs_of, mean_of
from aurac.statistics.score_interval import is_near_an_end, score_interval


def macro_score(
    curves: Sequence[RankAccuracyCurve], rank_weights: Sequence[Vector], *, confidence_level: float = 0.95
) -> tuple[Estimate, Interval]:
    """Return the unweighted mean over tasks of scores in [0, 1] with its error and interval.

    The interval is mean ± t * SE; where a task lies near 0 or 1, or t would leave them, it is the score interval
    (`aurac.statistics.score_interval`), so that a task on which all is right adds what its documents leave open.

    Args:
        curves: One curve a task, with per-document scores.
        rank_weights: For each task its weights from `aurac.weights`, shape (K,).
        confidence_level: Nominal coverage.

    Example:
        >>> import numpy as np
        >>> curves = [RankAccuracyCurve.from_scores([1], [[y]] * 64) for y in (0, 1)]
        >>> estimate, interval = macro_score(curves, [np.ones(1)] * 2)
        >>> estimate.value, estimate.stderr, round(interval.low, 3), round(interval.high, 3)
        (0.5, 0.0, 0.472, 0.528)
    """
    samples = [
        Sample(
            per_document(curve.measured(), w),
            curve.clusters,
            curve.bounded,
            strata=None if curve.strata is None else curve.strata.labels,
        )
        for curve, w in zip(curves, rank_weights, strict=True)
    ]
    estimate = mean_of(samples)
    interval = t_interval(estimate, confidence_level=confidence_level)
    audited = any(curve.part is not None and curve.part.is_audit for curve in curves)  # scores without bounds
    inside = 0 < interval.low < interval.high < 1
    if audited or (inside and not any(is_near_an_end(sample.estimate.value) for sample in samples)):
        return estimate, interval
    return estimate, score_interval(inputs_of(samples, bounds=(0.0, 1.0)), confidence_level=confidence_level)
