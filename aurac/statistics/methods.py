"""Methods that were trained with several seeds: error of a score, and of the difference of two, from their curves.

The estimators are those of `aurac.statistics.seeds`; here they meet curves, several tasks at once where the question is
the mean over tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aurac.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector, weights
from aurac.seed_scores import SeedScores
from aurac.statistics.alignment import align
from aurac.statistics.estimate import Estimate
from aurac.statistics.paired import PairedDifference, differences, t_p
from aurac.statistics.seeds import SeedEstimate, method_difference, method_estimate


def method_score(
    curves: Sequence[RankAccuracyCurve], rank_weights: Vector, *, target: str = "docs+seeds"
) -> SeedEstimate:
    """Estimate the AURAC of a method on one task, or its unweighted mean over several.

    Args:
        curves: One curve a task, from `RankAccuracyCurve.from_seeds`, all of the same trainings.
        rank_weights: From `aurac.weights`, shape (K,).
        target: A name in `aurac.statistics.seeds.TARGETS`.

    Raises:
        CurveError: If a curve has no seeds.

    Example:
        >>> scores = [[[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]]]
        >>> seeds = [RankAccuracyCurve([1], scores=np.array(scores[0])[:, [s]], documents=list("abc")) for s in (0, 1)]
        >>> method = RankAccuracyCurve.from_seeds(seeds, ["42", "43"])
        >>> round(method_score([method], np.ones(1)).stderr ** 2, 6)  # 0.16 / 3 + 0.02 / 2
        0.063333
    """
    seeds = [_seeds(curve) for curve in curves]
    return method_estimate([s.values for s in seeds], rank_weights, seed_unit=seeds[0].unit, target=target)


def method_contrast(
    a: Sequence[RankAccuracyCurve],
    b: Sequence[RankAccuracyCurve],
    *,
    axis: str = "log2",
    rule: str = "trapezoid",
    confidence_level: float = 0.95,
    target: str = "docs+seeds",
) -> PairedDifference:
    """Compare two methods on the same documents, on one task or on the unweighted mean over several.

    Seeds of the same names are paired, since they stand for the same initial weights and order of data; others are
    independent. The interval and the two-sided test are t at Satterthwaite's degrees of freedom. Wins, ties and losses
    count documents by their mean over seeds.

    Args:
        a: Curves of the minuend, one a task.
        b: Curves of the subtrahend, in the same order of tasks.
        axis: As for `aurac.weights`.
        rule: As for `aurac.weights`.
        confidence_level: Of the interval.
        target: A name in `aurac.statistics.seeds.TARGETS`.

    Raises:
        ComparisonError: If the curves cannot be joined.
        CurveError: If a curve has no seeds.
    """
    aligned = [align(pair) for pair in zip(a, b, strict=True)]
    rank_weights = weights(a[0].ranks, axis, rule)
    first, second = ([_seeds(pair[side]) for pair in aligned] for side in (0, 1))
    estimate = method_difference(
        [s.values for s in first],
        [s.values for s in second],
        rank_weights,
        seeds="shared" if are_paired(first[0], second[0]) else "independent",
        seed_units=(first[0].unit, second[0].unit),
        target=target,
    )
    d = [
        differences(x.values.mean(axis=1), y.values.mean(axis=1), rank_weights)
        for x, y in zip(first, second, strict=True)
    ]
    pooled = np.concatenate([d_t / (len(d) * len(d_t)) for d_t in d]) if len(d) > 1 else d[0]
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=estimate.interval(confidence_level),
        p_value=t_p(Estimate(estimate.value, estimate.stderr, estimate.df)),
        n_documents=len(pooled),
        wins=int((pooled > 0).sum()),
        ties=int((pooled == 0).sum()),
        losses=int((pooled < 0).sum()),
        differences=pooled,
        df=estimate.df,
    )


def are_paired(a: SeedScores, b: SeedScores) -> bool:
    """Return whether seed s of one method was trained like seed s of the other."""
    return a.labels == b.labels and a.unit == b.unit


def _seeds(curve: RankAccuracyCurve) -> SeedScores:
    if curve.seeds is None:
        raise CurveError(
            f"{curve.name or 'a curve'} has one training, which shows no spread between seeds. Pool the curves of "
            "several with RankAccuracyCurve.from_seeds."
        )
    return curve.seeds
