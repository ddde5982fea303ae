"""Methods that were trained with several seeds: error of a score, and of the difference of two, from their curves.

The estimators are those of `aurac.statistics.seeds`; here they meet curves, several tasks at once where the question is
the mean over tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import Array, SeedScores
from aurac.errors import CurveError
from aurac.quadrature import Vector, weights
from aurac.statistics.alignment import align
from aurac.statistics.estimate import Estimate
from aurac.statistics.paired import PairedDifference, differences, t_p
from aurac.statistics.seeds import SeedEstimate, method_difference, method_estimate

_NOISE = 1e-12
"""Below this, differences of fractions are rounding; as in `aurac.statistics.paired.differences`."""


def method_score(
    curves: Sequence[RankAccuracyCurve], rank_weights: Sequence[Vector], *, target: str = "docs+seeds"
) -> SeedEstimate:
    """Estimate the AURAC of a method on one task, or its unweighted mean over several.

    Args:
        curves: One curve a task, from `RankAccuracyCurve.from_seeds`, all of the same trainings.
        rank_weights: For each task its weights from `aurac.weights`, shape (K,).
        target: A name in `aurac.statistics.seeds.TARGETS`.

    Raises:
        CurveError: If a curve has no seeds.

    Example:
        >>> scores = [[[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]]]
        >>> seeds = [RankAccuracyCurve([1], scores=np.array(scores[0])[:, [s]], documents=list("abc")) for s in (0, 1)]
        >>> method = RankAccuracyCurve.from_seeds(seeds, ["42", "43"])
        >>> round(method_score([method], [np.ones(1)]).stderr ** 2, 6)  # 0.16 / 3 + 0.02 / 2
        0.063333
    """
    seeds = [_seeds(curve) for curve in curves]
    (values,), common = _scores([seeds], rank_weights)
    return _clean(method_estimate(values, common, seed_unit=seeds[0].unit, target=target))


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
    rank_weights = [weights(pair[0].ranks, axis, rule) for pair in aligned]
    sides = [[_seeds(pair[side]) for pair in aligned] for side in (0, 1)]
    (first, second), common = _scores(sides, rank_weights)
    estimate = _clean(
        method_difference(
            first,
            second,
            common,
            seeds="shared" if are_paired(sides[0][0], sides[1][0]) else "independent",
            seed_units=(sides[0][0].unit, sides[1][0].unit),
            target=target,
        )
    )
    d = [differences(x.mean(axis=1), y.mean(axis=1), common) for x, y in zip(first, second, strict=True)]
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


def _scores(sides: Sequence[Sequence[SeedScores]], rank_weights: Sequence[Vector]) -> tuple[list[list[Array]], Vector]:
    """Return scores of shape (documents, seeds, ranks) for each side and task, and the weights of their last axis.

    Where every training gives all ranks, the ranks are summed up here, each task by its own weights. Adapters that were
    trained for every rank need their ranks apart, and the same in all tasks.
    """
    if all(seeds.unit == "run" for side in sides for seeds in side):
        summed = [[(s.values @ w)[:, :, None] for s, w in zip(side, rank_weights, strict=True)] for side in sides]
        return summed, np.ones(1)
    if any(not np.array_equal(w, rank_weights[0]) for w in rank_weights):
        raise CurveError(
            "the tasks were scored at different ranks, so a mean over tasks of adapters that were trained for every "
            "rank has no error. Score all tasks at the same ranks, or compare one task at a time."
        )
    return [[s.values for s in side] for side in sides], rank_weights[0]


def _clean(estimate: SeedEstimate) -> SeedEstimate:
    """Return the estimate with rounding noise taken for what it is: nothing."""
    value, stderr = (0.0 if abs(x) < _NOISE else x for x in (estimate.value, estimate.stderr))
    return replace(estimate, value=value, stderr=stderr)


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
