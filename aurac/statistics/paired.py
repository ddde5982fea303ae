"""The difference between two scores on the same documents."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector, weights
from aurac.statistics.alignment import align
from aurac.statistics.contrast import INTERVALS, TESTS, infer
from aurac.statistics.estimate import Interval, check_level
from aurac.statistics.intervals import per_document
from aurac.statistics.non_inferiority import detectable_loss
from aurac.statistics.planning import detectable_effect
from aurac.statistics.refused import check_name
from aurac.statistics.sample import Sample, inputs_of, mean_of


@dataclass(frozen=True, eq=False)
class PairedDifference:
    """Score A minus score B on common documents.

    Attributes:
        value: Mean of the per-document differences.
        stderr: Its standard error, s_d / sqrt(n), or the clustered one.
        interval: Interval of the difference.
        p_value: Two-sided, against "no difference"; None where there is no test (two training seeds).
        n_documents: Number of common documents.
        higher: Documents where A scores higher than B. For audits, where most documents were not asked at most ranks,
            none are counted: higher, equal and lower are 0.
        equal: Documents with equal scores.
        lower: Documents where A scores lower.
        samples: The per-document differences, one sample a task.
        n_dropped: Documents left out because only one of the curves has them.
        df: Satterthwaite's degrees of freedom where training seeds are part of the error, else None.
        test: Name of the test behind the p-value.
    """

    value: float
    stderr: float
    interval: Interval
    p_value: float | None
    n_documents: int
    higher: int
    equal: int
    lower: int
    samples: tuple[Sample, ...]
    n_dropped: int = 0
    df: float | None = None
    test: str = "sign-flip"

    @property
    def differences(self) -> Vector:
        """Per-document differences d_i as measured, of all tasks, shape (n,)."""
        return np.concatenate([sample.values for sample in self.samples])


def paired_difference(
    a: RankAccuracyCurve,
    b: RankAccuracyCurve,
    *,
    axis: str = "log2",
    rule: str = "trapezoid",
    within: tuple[float, float] | None = None,
    confidence_level: float = 0.95,
    ci: str = "auto",
    test: str = "sign-flip",
    clusters: Mapping[str, Hashable] | None = None,
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
    missing: str = "error",
) -> PairedDifference:
    """Compare the AURAC of two curves on the same documents.

    Since AURAC is the mean of a_i = sum over ranks of w_k y_ik, the difference is the mean of d_i = a_i^A - a_i^B, and
    its error needs no model of the correlation between ranks, or between the runs.

    Args:
        a: Curve whose score is the minuend.
        b: Curve with the same ranks and metric.
        axis: As for `aurac.weights`.
        rule: As for `aurac.weights`.
        within: As for `aurac.weights`.
        confidence_level: Of the interval.
        ci: "score", "t", "bca", or "auto": the score interval where t is rough
            (`aurac.statistics.score_interval.is_rough`), else t.
        test: "sign-flip", "score", "t", or "auto": the score test with the score interval, else sign flips. The p-value
            is never below that of the interval, and the interval reaches to 0 where the p-value is above the level: the
            p-value decides.
        clusters: Document key -> cluster, where documents share a passage: clusters are then flipped as a whole. By
            default the clusters of the curves, where they have some.
        n_resamples: Random sign patterns, or resamples of "bca".
        rng: Source of both; by default seeded with 12345.
        missing: What to do with documents that one curve lacks, "error" or "drop".

    Raises:
        ComparisonError: If the curves cannot be joined.
        CurveError: With a single document, or a document without a cluster.
        RefusedError: For a test or interval known to mislead, such as "unpaired-z".

    Example:
        >>> keys = ["a", "b", "c", "d"]
        >>> a = RankAccuracyCurve.from_scores([1, 2], [[1, 1], [1, 1], [1, 1], [0, 1]], documents=keys)
        >>> b = RankAccuracyCurve.from_scores([1, 2], [[0, 1], [0, 1], [0, 1], [0, 1]], documents=keys)
        >>> d = paired_difference(a, b)  # 1/2 on three documents: (3/2) / 4, and 2 of 8 sign patterns
        >>> d.value, d.p_value, (d.higher, d.equal, d.lower)
        (0.375, 0.25, (3, 1, 0))
    """
    check_name("test", test, TESTS)
    check_name("interval of a difference", ci, INTERVALS)
    n_all = len({*(a.documents or ()), *(b.documents or ())})
    a, b = align([a, b], missing=missing)
    rank_weights = weights(a.ranks, axis, rule, within=within)
    labels = a.clusters if clusters is None else _labels(a.documents or (), clusters)
    sample = sample_of(a, b, rank_weights, labels)
    draws: dict[str, Any] = {"n_resamples": n_resamples, "rng": rng}
    interval, p_value = infer([sample], confidence_level=check_level(confidence_level), ci=ci, test=test, **draws)
    return described([sample], interval, p_value, n_dropped=n_all - len(sample.values))


def sample_of(
    a: RankAccuracyCurve, b: RankAccuracyCurve, rank_weights: Vector, clusters: Sequence[Hashable] | None
) -> Sample:
    """Return the per-document differences of two aligned curves, with what their inference needs."""
    audited = any(curve.part is not None and curve.part.is_audit for curve in (a, b))
    return Sample(
        differences(a.measured(), b.measured(), rank_weights),
        clusters,
        a.bounded and b.bounded and not audited,  # expanded scores have no bounds
        tuple(float(rank_weights @ curve.accuracies) for curve in (a, b)),
        None if a.strata is None else a.strata.labels,
        not audited,
    )


def described(
    samples: Sequence[Sample], interval: Interval, p_value: tuple[str, float], *, n_dropped: int = 0
) -> PairedDifference:
    """Return the mean over tasks of per-document differences with what was inferred about it.

    Documents are counted as they are; their differences are weighted as they are in the mean.
    """
    estimate = mean_of(samples)
    signs = np.concatenate([np.sign(sample.values) for sample in samples])
    counts = all(sample.counts for sample in samples)
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=interval,
        p_value=p_value[1],
        n_documents=len(signs),
        higher=int((signs > 0).sum()) if counts else 0,
        equal=int((signs == 0).sum()) if counts else 0,
        lower=int((signs < 0).sum()) if counts else 0,
        samples=tuple(samples),
        n_dropped=n_dropped,
        test=p_value[0],
    )


def differences(a_scores: np.ndarray, b_scores: np.ndarray, rank_weights: Vector) -> Vector:
    """Return d_i = a_i^A - a_i^B, shape (n,), from scores of shape (n, K); rounding noise is 0, hence a tie."""
    d = per_document(a_scores - b_scores, rank_weights)
    return np.asarray(np.where(np.abs(d) < 1e-12, 0.0, d))


def _labels(documents: tuple[str, ...], clusters: Mapping[str, Hashable]) -> list[Hashable]:
    if lacking := [key for key in documents if key not in clusters]:
        raise CurveError(
            f"{len(lacking)} of {len(documents)} documents have no cluster (for example {lacking[0]}). Give one for "
            "each document."
        )
    return [clusters[key] for key in documents]


def macro_difference(
    differences: Sequence[PairedDifference],
    *,
    confidence_level: float = 0.95,
    ci: str = "auto",
    test: str = "sign-flip",
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> PairedDifference:
    """Return the unweighted mean over tasks of differences; the tasks are fixed, their documents independent.

    Every document is flipped by itself, weighted as it is in the mean, and the score interval has one common multiplier
    for all tasks, so that a task on which nothing differs is neither exact nor decisive.
    """
    samples = [sample for d in differences for sample in d.samples]
    draws: dict[str, Any] = {"n_resamples": n_resamples, "rng": rng}
    interval, p_value = infer(samples, confidence_level=confidence_level, ci=ci, test=test, **draws)
    return described(samples, interval, p_value)


def smallest_found(d: PairedDifference, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest true difference that the test of `d` would find with this power; None without a test.

    For the score test, that of two runs that differ as much, but by 0 on the mean.
    """
    if d.p_value is None:
        return None
    score = detectable_loss(inputs_of(d.samples).losses(), alpha / 2, power) if d.test == "score" else 0.0
    effect = detectable_effect(d.stderr, math.inf if d.df is None else d.df, alpha=alpha, power=power)
    return max(effect, score) or None
