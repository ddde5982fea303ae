"""Intervals of a mean, or of a difference, by inverting the score test: they hold where few documents vary.

A t interval takes the error from what was seen. Where few documents differ, or nearly all answers are right, what was
seen has too little spread as often as the mean is off, and the interval covers too rarely. Here the error at every
candidate value is the one that this value would have, with room for documents of a kind not seen so far
(`aurac.statistics.tilting`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.quadrature import Vector
from aurac.statistics.estimate import Interval, check_level
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.non_inferiority import bound_at, loss_p, observed_mean
from aurac.statistics.student import quantile
from aurac.statistics.tilting import Losses, collapse

FEW = 10
"""Documents that differ in one direction, below which an error taken from the observed differences is rough."""
NEAR_AN_END = 0.05
"""Distance from the lowest or highest score, as a fraction, within which it is rough too."""


@dataclass(frozen=True, eq=False)
class ScoreInputs:
    """Per-document values of one task or several, ready for a score test.

    Attributes:
        values: For each task, shape (n_t,).
        weights: Of the tasks in the mean, summing to 1.
        units: Documents of each task, fewer where they share passages (`information`).
        bounds: Smallest and largest value that a document can have.
        df: Degrees of freedom of the error, infinite unless passages are few.
    """

    values: Sequence[Vector]
    weights: Sequence[float]
    units: Sequence[float]
    bounds: tuple[float, float] = (-1.0, 1.0)
    df: float = math.inf

    def losses(self, sign: int = 1) -> list[Losses]:
        """Return the values of each task as losses; with sign -1 what is won is lost."""
        upper = self.bounds[1] if sign == 1 else -self.bounds[0]
        return [
            collapse(sign * values, weight=weight, n_units=n, upper=upper)
            for values, weight, n in zip(self.values, self.weights, self.units, strict=True)
        ]


def score_inputs(
    values: Sequence[npt.ArrayLike],
    clusters: Sequence[Sequence[Hashable] | None] | None = None,
    *,
    weights: Sequence[float] | None = None,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> ScoreInputs:
    """Return values of one task or several for a score test.

    Args:
        values: Of each task, shape (n_t,).
        clusters: Of each task, one label a document where documents share passages.
        weights: Of the tasks, summing to 1; by default all the same.
        bounds: As for `ScoreInputs`.
    """
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    labels = [None] * len(arrays) if clusters is None else list(clusters)
    units = [information(v, c) for v, c in zip(arrays, labels, strict=True)]
    few = [len(set(c)) - 1 for c in labels if c is not None]
    shares = [1 / len(arrays)] * len(arrays) if weights is None else weights
    return ScoreInputs(arrays, shares, units, bounds, float(min(few)) if few else math.inf)


def score_interval(inputs: ScoreInputs, *, confidence_level: float = 0.95) -> Interval:
    """Return the score interval of the mean over tasks.

    Example:
        >>> interval = score_interval(score_inputs([[1.0] * 64], bounds=(0, 1)))  # Wilson's: 64 / (64 + 1.96^2)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.9434, 1.0)
    """
    low, high = score_ends(inputs, quantile((1 + check_level(confidence_level)) / 2, inputs.df))
    return Interval(low, high, confidence_level, "score")


def score_ends(inputs: ScoreInputs, critical: float) -> tuple[float, float]:
    """Return the ends of the score interval for any quantile: z, a t quantile, or that of a simultaneous band."""
    low, high = (bound_at(inputs.losses(sign), critical) for sign in (-1, 1))
    return 0.0 - low, high


def score_p(inputs: ScoreInputs) -> float:
    """Return the two-sided p-value of "the mean is 0" that belongs to `score_interval`.

    Example:
        >>> round(score_p(score_inputs([[1.0] * 9 + [-1.0] * 3 + [0.0] * 88])), 4)  # McNemar: z = (9 - 3) / sqrt(9 + 3)
        0.0833
    """
    mean = observed_mean(inputs.losses())
    if abs(mean) < 1e-15:
        return 1.0
    return min(1.0, 2 * loss_p(inputs.losses(-1 if mean > 0 else 1), 0.0, df=inputs.df))


def information(values: npt.ArrayLike, clusters: Sequence[Hashable] | None = None) -> float:
    """Return how many independent documents the documents of passages are worth, at most their number.

    n / (SE with clusters / SE without)^2; the number of clusters where nothing varies, or if that is less.

    Example:
        >>> information([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b", "c", "c", "d", "d"])
        3.428571428571428
    """
    n = len(np.asarray(values))
    if clusters is None:
        return float(n)
    alone, together = estimate_mean(values), estimate_mean(values, clusters=clusters)
    if alone.stderr == 0 or together.stderr == 0:
        return min(float(n), together.df + 1)
    return min(float(n), n * (alone.stderr / together.stderr) ** 2)


def is_rough(differences: npt.ArrayLike, levels: Sequence[float] = ()) -> bool:
    """Return whether a t interval of per-document differences is rough, so that the score interval is the default.

    It is where fewer than `FEW` documents differ in one of the two directions, which a lower rank that only loses never
    passes, and where one of the two scores lies within `NEAR_AN_END` of 0 or 1.

    Args:
        differences: Of each document, or their sum in each cluster, shape (n,).
        levels: The two scores, fractions.
    """
    d = np.asarray(differences)
    few = min(int((d > 0).sum()), int((d < 0).sum())) < FEW
    return few or any(map(is_near_an_end, levels))


def is_near_an_end(level: float) -> bool:
    """Return whether a score, a fraction, lies within `NEAR_AN_END` of 0 or 1."""
    return not NEAR_AN_END < level < 1 - NEAR_AN_END
