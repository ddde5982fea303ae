"""The difference between two scores on the same documents."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector, weights
from aurac.statistics.alignment import align
from aurac.statistics.estimate import Estimate, Interval, check_level
from aurac.statistics.flat import flat_interval
from aurac.statistics.intervals import estimate_mean, mean_interval, per_document
from aurac.statistics.refused import check_name
from aurac.statistics.sign_flip import sign_flip_p

TESTS = ("sign-flip", "t")


@dataclass(frozen=True)
class PairedDifference:
    """Score A minus score B on common documents.

    Attributes:
        value: Mean of the per-document differences.
        stderr: Its standard error, s_d / sqrt(n), or the clustered one.
        interval: Interval of the difference, paired t by default; where every document of a bounded metric has the
            same difference, what their number leaves open.
        p_value: Two-sided, of the chosen test; sign-flip by default.
        n_documents: Number of common documents.
        wins: Documents where A scores higher than B, whatever the direction of the metric.
        ties: Documents with equal scores.
        losses: Documents where A scores lower.
        differences: Per-document differences d_i, shape (n,).
        n_dropped: Documents left out because only one of the curves has them.
        df: Satterthwaite's degrees of freedom where training seeds are part of the error, else None.
    """

    value: float
    stderr: float
    interval: Interval
    p_value: float
    n_documents: int
    wins: int
    ties: int
    losses: int
    differences: Vector
    n_dropped: int = 0
    df: float | None = None


def paired_difference(
    a: RankAccuracyCurve,
    b: RankAccuracyCurve,
    *,
    axis: str = "log2",
    rule: str = "trapezoid",
    within: tuple[float, float] | None = None,
    confidence_level: float = 0.95,
    ci: str = "t",
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
        ci: "t" or "bca".
        test: "sign-flip" or "t".
        clusters: Document key -> cluster, where documents share a passage: clusters are then flipped as a whole.
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
        >>> d.value, d.p_value, (d.wins, d.ties, d.losses)
        (0.375, 0.25, (3, 1, 0))
    """
    check_name("test", test, TESTS)
    check_name("interval of a difference", ci, ("t", "bca"))
    n_all = len({*(a.documents or ()), *(b.documents or ())})
    a, b = align([a, b], missing=missing)
    assert a.scores is not None
    assert b.scores is not None
    rank_weights = weights(a.ranks, axis, rule, within=within)
    d = differences(a.scores, b.scores, rank_weights)
    labels = None if clusters is None else _labels(a.documents or (), clusters)
    estimate = estimate_mean(d, clusters=labels)
    flat, level = estimate.stderr == 0, check_level(confidence_level)
    if flat and a.bounded:
        interval = flat_interval(estimate.value, round(estimate.df) + 1, bounds=(-1.0, 1.0), confidence_level=level)
    else:
        interval = mean_interval(
            d,
            confidence_level=level,
            ci="t" if flat else ci,
            clusters=labels,
            bounded=False,
            rng=rng,
            n_resamples=n_resamples,
        )
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=interval,
        p_value=t_p(estimate) if test == "t" else sign_flip_p(_sums(d, labels), n_resamples=n_resamples, rng=rng),
        n_documents=len(d),
        wins=int((d > 0).sum()),
        ties=int((d == 0).sum()),
        losses=int((d < 0).sum()),
        differences=d,
        n_dropped=n_all - len(d),
    )


def differences(a_scores: np.ndarray, b_scores: np.ndarray, rank_weights: Vector) -> Vector:
    """Return d_i = a_i^A - a_i^B, shape (n,), from scores of shape (n, K); rounding noise is 0, hence a tie."""
    d = per_document(a_scores - b_scores, rank_weights)
    return np.asarray(np.where(np.abs(d) < 1e-12, 0.0, d))


def t_p(estimate: Estimate) -> float:
    """Return the two-sided p-value of "the mean is 0"; 1 for a mean of exactly 0, 0 for another mean without spread."""
    from scipy.special import stdtr

    if estimate.value == 0:
        return 1.0
    return 2 * float(stdtr(estimate.df, -abs(estimate.value) / estimate.stderr)) if estimate.stderr > 0 else 0.0


def _labels(documents: tuple[str, ...], clusters: Mapping[str, Hashable]) -> list[Hashable]:
    if lacking := [key for key in documents if key not in clusters]:
        raise CurveError(
            f"{len(lacking)} of {len(documents)} documents have no cluster (for example {lacking[0]}). Give one for "
            "each document."
        )
    return [clusters[key] for key in documents]


def _sums(d: Vector, labels: list[Hashable] | None) -> Vector:
    """Return the differences, or their sum in each cluster."""
    if labels is None:
        return d
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.asarray(np.bincount([numbers[label] for label in labels], weights=d), dtype=np.float64)
