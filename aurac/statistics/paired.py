"""The difference between two scores on the same documents: paired t interval, and a test that flips whole documents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.curve import RankAccuracyCurve
from aurac.quadrature import Vector, weights
from aurac.statistics.alignment import align
from aurac.statistics.estimate import Interval
from aurac.statistics.intervals import estimate_mean, per_document, t_interval


@dataclass(frozen=True)
class PairedDifference:
    """Score A minus score B on common documents.

    Attributes:
        value: Mean of the per-document differences.
        stderr: Its standard error, s_d / sqrt(n).
        interval: Paired t interval, df n-1.
        p_value: Two-sided sign-flip p-value; a document's whole row of ranks is flipped at once.
        n_documents: Number of common documents.
        wins: Documents where A scores higher than B; `ties` and `losses` likewise.
        ties: Documents with equal scores.
        losses: Documents where A scores lower.
        differences: Per-document differences d_i, shape (n,).
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


def paired_difference(
    a: RankAccuracyCurve,
    b: RankAccuracyCurve,
    *,
    axis: str = "log2",
    rule: str = "trapezoid",
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    rng: np.random.Generator,
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
        confidence_level: Of the t interval.
        n_resamples: Random sign patterns, where all of them are too many to enumerate.
        rng: Source of the sign patterns.
        missing: What to do with documents that one curve lacks, "error" or "drop".

    Raises:
        ComparisonError: If the curves cannot be joined.
        CurveError: With a single document.
    """
    a, b = align([a, b], missing=missing)
    assert a.scores is not None
    assert b.scores is not None
    rank_weights = weights(a.ranks, axis, rule)
    d = per_document(a.scores, rank_weights) - per_document(b.scores, rank_weights)
    d[np.abs(d) < 1e-12] = 0.0
    estimate = estimate_mean(d)
    return PairedDifference(
        value=estimate.value,
        stderr=estimate.stderr,
        interval=t_interval(estimate, confidence_level=confidence_level),
        p_value=sign_flip_p(d, n_resamples=n_resamples, rng=rng),
        n_documents=len(d),
        wins=int((d > 0).sum()),
        ties=int((d == 0).sum()),
        losses=int((d < 0).sum()),
        differences=d,
    )


def sign_flip_p(differences: npt.ArrayLike, *, n_resamples: int = 9999, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of the sign-flip test on per-document differences, shape (n,).

    Exact when all 2^m sign patterns of the m non-zero differences are at most `n_resamples`; otherwise
    (#{|mean of a random pattern| >= |mean|} + 1) / (n_resamples + 1) (Phipson and Smyth 2010).

    Example:
        >>> sign_flip_p([1.0, 1.0, 1.0], rng=np.random.default_rng(0))  # 2 of 8 patterns are as extreme
        0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if len(d) == 0:
        return 1.0
    bound = abs(d.sum()) * (1 - 1e-12)
    if len(d) <= math.log2(n_resamples):
        patterns = np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1
        return float((np.abs((1 - 2 * patterns) @ d) >= bound).mean())
    # Documents share few distinct differences: the sum over each group of equals is a binomial count of flips.
    sizes, counts = np.unique(np.abs(d), return_counts=True)
    plus = rng.binomial(counts, 0.5, size=(n_resamples, len(counts)))
    sums = (2 * plus - counts) @ sizes
    return float((np.count_nonzero(np.abs(sums) >= bound) + 1) / (n_resamples + 1))
