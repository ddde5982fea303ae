"""Error of a score over documents and seeds, or over documents and draws of few-shot examples, and of differences.

The estimators are those of `aurac.statistics.seeds`; here they meet curves, several tasks at once where the question is
the mean over tasks. A method is a curve with several seeds; a run is one with several draws of examples.
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
from aurac.statistics.contrast import infer, reaching_zero, t_p
from aurac.statistics.estimate import Estimate, Interval, hull
from aurac.statistics.factors import drawn, drawn_by_cluster, factors, fewest
from aurac.statistics.flat import flat_interval
from aurac.statistics.intervals import t_interval, wilson_ends
from aurac.statistics.paired import PairedDifference, described, sample_of
from aurac.statistics.sample import Sample
from aurac.statistics.score_interval import score_inputs, score_interval
from aurac.statistics.seeds import (
    CELLS,
    MIN_SEEDS,
    SeedEstimate,
    crossed,
    method_difference,
    method_estimate,
    share_of,
)
from aurac.statistics.student import quantile

_NOISE = 1e-12
"""Below this, differences of fractions are rounding; as in `aurac.statistics.paired.differences`."""
SEEDS_MATTER = 0.1
"""Share of the variance from which on the degrees of freedom are those of the seeds, or of the draws of examples."""


def method_score(
    curves: Sequence[RankAccuracyCurve], rank_weights: Sequence[Vector], *, target: str = "docs+seeds"
) -> SeedEstimate:
    """Estimate the AURAC of a method on one task, or its unweighted mean over several.

    Args:
        curves: One curve a task, from `RankAccuracyCurve.from_seeds`, all of the same trainings; for target
            "docs+prompts" curves with `prompts`.
        rank_weights: For each task its weights from `aurac.weights`, shape (K,).
        target: A name in `aurac.statistics.seeds.TARGETS`.

    Raises:
        CurveError: If a curve has no seeds, or no draws of examples, and the target needs them.

    Example:
        >>> scores = [[[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]]]
        >>> seeds = [RankAccuracyCurve([1], scores=np.array(scores[0])[:, [s]], documents=list("abc")) for s in (0, 1)]
        >>> method = RankAccuracyCurve.from_seeds(seeds, ["42", "43"])
        >>> round(method_score([method], [np.ones(1)]).stderr ** 2, 6)  # 0.16 / 3 + 0.02 / 2
        0.063333
    """
    made = []
    for factor in factors(target):
        scores = [drawn_by_cluster(curve, factor) for curve in curves]
        (values,), common = _scores([scores], rank_weights)
        made.append(method_estimate(values, common, seed_unit=scores[0].unit, target=target, factor=factor))
    return _clean(crossed(made, target))


def seed_values(curves: Sequence[RankAccuracyCurve], rank_weights: Sequence[Vector]) -> dict[str, float]:
    """Return training seed -> its AURAC on one task, or its unweighted mean over several; their mean is the method's.

    Args:
        curves: As for `method_score`.
        rank_weights: As for `method_score`.

    Raises:
        CurveError: If a curve has no seeds, or the tasks have others.

    Example:
        >>> scores = np.array([[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]])
        >>> seeds = [RankAccuracyCurve([1], scores=scores[:, [s]], documents=list("abc")) for s in (0, 1)]
        >>> values = seed_values([RankAccuracyCurve.from_seeds(seeds, ["42", "43"])], [np.ones(1)])
        >>> {label: round(value, 2) for label, value in values.items()}
        {'42': 0.4, '43': 0.6}
    """
    seeds = [drawn(curve, "seeds") for curve in curves]
    if len({s.labels for s in seeds}) > 1:
        raise CurveError("the tasks were scored with different training seeds. Give the same trainings on every task.")
    values = np.mean([s.values.mean(axis=0) @ w for s, w in zip(seeds, rank_weights, strict=True)], axis=0)
    return dict(zip(seeds[0].labels, values.tolist(), strict=True))


def method_interval(
    estimate: SeedEstimate,
    curves: Sequence[RankAccuracyCurve],
    rank_weights: Sequence[Vector],
    *,
    confidence_level: float = 0.95,
) -> Interval:
    """Return the interval of a method's score: Wilson's at the effective number of documents, with t for z.

    It stays inside [0, 1]. Where nothing varies, or nothing varies on a task of several, it holds what the documents
    leave open. Unbounded metrics have mean ± t * SE.

    Args:
        estimate: From `method_score`.
        curves: As for `method_score`.
        rank_weights: As for `method_score`.
        confidence_level: Nominal coverage.
    """
    df, target = effective_df(estimate), estimate.target
    if not all(curve.bounded for curve in curves):
        plain = Estimate(estimate.value, estimate.stderr, df)
        return t_interval(plain, confidence_level=confidence_level, target=target)
    units = fewest(curves, target) if target == "seeds" else min(_units(curve) for curve in curves)
    if estimate.stderr == 0:
        return replace(flat_interval(estimate.value, units, confidence_level=confidence_level), target=target)
    critical = quantile((1 + confidence_level) / 2, df)
    interval = Interval(*wilson_ends(estimate.value, estimate.stderr, units, critical), confidence_level, "wilson")
    if "+" in target and len(curves) > 1:
        over_documents = [_scores_of(curve) @ w for curve, w in zip(curves, rank_weights, strict=True)]
        if any(np.ptp(values) == 0 for values in over_documents):
            clusters = [curve.clusters for curve in curves]
            inputs = score_inputs(over_documents, clusters, bounds=(0.0, 1.0))
            interval = hull(interval, score_interval(inputs, confidence_level=confidence_level))
    return replace(interval, target=target)


def effective_df(estimate: SeedEstimate) -> float:
    """Return max(S - 1, min(df, 2 (S - 1))) where the S seeds carry a tenth of the variance or more, else df.

    Satterthwaite's df is an estimate too, and with two or three seeds it is too large whenever the seeds happen to be
    close to each other. Draws of examples count like seeds, but for the noise of single cells: where every document has
    examples of its own, as lm-eval draws them, that noise is all there is, and documents show it better than draws.
    """
    found = [estimate.df]
    for factor, share in (("seeds", share_of(estimate)), ("prompts", share_of(estimate, "prompts", net=True))):
        if share >= SEEDS_MATTER:
            least = min(part.df for part in estimate.parts if part.source == factor)  # S - 1
            found.append(max(least, min(estimate.df, 2 * least)))
    return min(found)


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

    Seeds of the same names are paired, since they stand for the same initial weights and order of data, and so are
    draws of few-shot examples, which are the same prompts; others are independent. The interval and the two-sided test
    are t at Satterthwaite's degrees of freedom, and not narrower than what the documents alone say by the score
    interval where few of them differ. Two seeds make no test: their error has too few degrees of freedom. Wins, ties
    and losses count documents by their mean over seeds.

    Args:
        a: Curves of the minuend, one a task.
        b: Curves of the subtrahend, in the same order of tasks.
        axis: As for `aurac.weights`.
        rule: As for `aurac.weights`.
        confidence_level: Of the interval.
        target: A name in `aurac.statistics.seeds.TARGETS`.

    Raises:
        ComparisonError: If the curves cannot be joined.
        CurveError: If a curve has no seeds, or no draws of examples, and the target needs them.
    """
    aligned = [align(pair) for pair in zip(a, b, strict=True)]
    rank_weights = [weights(pair[0].ranks, axis, rule) for pair in aligned]
    samples = [sample_of(x, y, w, x.clusters) for (x, y), w in zip(aligned, rank_weights, strict=True)]
    estimate = _difference(aligned, rank_weights, target)
    n_seeds = fewest([curve for pair in aligned for curve in pair], target)
    df = effective_df(estimate) if n_seeds < MIN_SEEDS else estimate.df
    plain = Estimate(estimate.value, estimate.stderr, df)
    interval, p_value = t_interval(plain, confidence_level=confidence_level, target=target), t_p(plain)
    floor = None if target == "benchmark" else _documents_alone(samples, estimate, n_seeds, confidence_level)
    if floor is not None:
        interval, p_value = hull(interval, floor[0]), max(p_value, floor[1])
    if n_seeds >= MIN_SEEDS or target == "docs":
        made = described(samples, reaching_zero(interval, p_value), ("t", p_value))
    else:
        made = replace(described(samples, interval, ("none", 1.0)), p_value=None)
    return replace(made, value=estimate.value, stderr=estimate.stderr, df=df)


def _documents_alone(
    samples: Sequence[Sample], estimate: SeedEstimate, n_seeds: int, confidence_level: float
) -> tuple[Interval, float] | None:
    """Return what an error over seeds may not undercut: interval and p-value; None where it is sound by itself.

    That is the score interval where few documents differ, and where no seed differs from another the smallest p-value
    that flipping all documents can give.
    """
    if not all(sample.bounded for sample in samples):
        return None
    if estimate.target == "seeds":
        if estimate.stderr > 0:
            return None
        flat = flat_interval(estimate.value, n_seeds, bounds=(-1.0, 1.0), confidence_level=confidence_level)
        return flat, 1.0 if estimate.value == 0 else 2.0 ** (1 - n_seeds)
    still = not any(share_of(estimate, factor) for factor in CELLS)
    interval, (_, p_value) = infer(samples, confidence_level=confidence_level, test="sign-flip" if still else "score")
    return (interval, p_value) if still or interval.method == "score" else None


def _difference(
    aligned: Sequence[Sequence[RankAccuracyCurve]], rank_weights: Sequence[Vector], target: str
) -> SeedEstimate:
    made = []
    for factor in factors(target):
        sides = [[drawn_by_cluster(pair[side], factor) for pair in aligned] for side in (0, 1)]
        (first, second), common = _scores(sides, rank_weights)
        difference = method_difference(
            first,
            second,
            common,
            seeds="shared" if are_paired(sides[0][0], sides[1][0]) else "independent",
            seed_units=(sides[0][0].unit, sides[1][0].unit),
            target=target,
            factor=factor,
        )
        made.append(difference)
    return _clean(crossed(made, target))


def _scores_of(curve: RankAccuracyCurve) -> Array:
    assert curve.scores is not None
    return curve.scores


def _units(curve: RankAccuracyCurve) -> int:
    return len(_scores_of(curve)) if curve.clusters is None else len(set(curve.clusters))


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
