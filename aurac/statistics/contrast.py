"""Interval and p-value of a difference from per-document differences, on one task or on the mean over several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aurac.errors import CurveError
from aurac.statistics.bca import bca_interval
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import t_interval
from aurac.statistics.sample import Sample, inputs_of, mean_of
from aurac.statistics.score_interval import is_rough, score_interval, score_p
from aurac.statistics.sign_flip import sign_flip_p

INTERVALS = ("auto", "score", "t", "bca")
TESTS = ("auto", "score", "sign-flip", "t")


def infer(
    samples: Sequence[Sample],
    *,
    confidence_level: float = 0.95,
    ci: str = "auto",
    test: str = "auto",
    n_resamples: int = 9999,
    rng: np.random.Generator | None = None,
) -> tuple[Interval, tuple[str, float]]:
    """Return the interval of the mean over tasks, and the name of the test with its two-sided p-value.

    Interval and p-value agree about 0: the p-value is the larger one of the test and of the interval's own, and where
    it is above the level, the interval reaches to 0.
    """
    bounded, estimate = all(sample.bounded for sample in samples), mean_of(samples)
    rough = bounded and any(is_rough(sample.sums(), sample.levels) for sample in samples)
    if ci == "auto":
        ci = "score" if rough else "t"
    if ci == "t" and bounded and estimate.stderr == 0:
        ci = "score"  # t would claim certainty
    if not bounded and "score" in (ci, test):
        raise CurveError("the score interval and test need scores in [0, 1], and this metric is unbounded. Use 't'.")
    if test == "auto":
        test = "score" if ci == "score" else "sign-flip"
    p_value = _own_p(samples, estimate, ci)
    if test == "sign-flip":
        flips = np.concatenate([sample.sums() for sample in samples])
        p_value = max(p_value, sign_flip_p(flips, n_resamples=n_resamples, rng=rng))
    elif test != ci:
        p_value = max(p_value, _own_p(samples, estimate, test))
    interval = _interval(samples, estimate, ci, confidence_level, n_resamples, rng)
    return reaching_zero(interval, p_value), (test, p_value)


def t_p(estimate: Estimate) -> float:
    """Return the two-sided p-value of "the mean is 0"; 1 for a mean of exactly 0, 0 for another mean without spread."""
    from scipy.special import stdtr

    if estimate.value == 0:
        return 1.0
    return 2 * float(stdtr(estimate.df, -abs(estimate.value) / estimate.stderr)) if estimate.stderr > 0 else 0.0


def reaching_zero(interval: Interval, p_value: float) -> Interval:
    """Return the interval, up to 0 where the p-value is above its level and it would leave 0 out.

    Example:
        >>> reaching_zero(Interval(0.01, 0.2, 0.95, "t"), 0.06).low
        0.0
    """
    if p_value <= 1 - interval.confidence_level:
        return interval
    return replace(interval, low=min(interval.low, 0.0), high=max(interval.high, 0.0))


def _own_p(samples: Sequence[Sample], estimate: Estimate, ci: str) -> float:
    if ci != "score":
        return t_p(estimate)
    return score_p(inputs_of(samples))


def _interval(
    samples: Sequence[Sample],
    estimate: Estimate,
    ci: str,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator | None,
) -> Interval:
    if ci == "score":
        return score_interval(inputs_of(samples), confidence_level=confidence_level)
    if ci == "bca" and estimate.stderr > 0:
        if len(samples) > 1 or samples[0].clusters is not None:
            raise CurveError("ci='bca' resamples the documents of one task one by one, not clusters. Use ci='t'.")
        return bca_interval(samples[0].values, confidence_level=confidence_level, n_resamples=n_resamples, rng=rng)
    return t_interval(estimate, confidence_level=confidence_level)
