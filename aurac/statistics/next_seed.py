"""Where the next training of a method will score: a prediction interval, which is wider than that of the method's mean.

With V_seed the part of the variance of the mean over S seeds that comes from the seeds, one training departs from the
method by a variance of S * V_seed, and the mean by V_seed: (S + 1) * V_seed together (Hahn and Meeker 1991, prediction
of one further observation). What the documents add is the same as for the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Vector
from aurac.statistics.estimate import Interval
from aurac.statistics.factors import fewest
from aurac.statistics.over_seeds import effective_df, method_score
from aurac.statistics.seeds import MIN_SEEDS
from aurac.statistics.student import quantile

FIXED = ("seeds", "benchmark")
"""Targets for which the documents are these ones."""


def next_seed_interval(
    curves: Sequence[RankAccuracyCurve],
    rank_weights: Sequence[Vector],
    *,
    confidence_level: float = 0.95,
    target: str = "docs+seeds",
) -> Interval | None:
    """Return the interval in which the AURAC of one more training lies; None below three seeds or two documents.

    Ends are cut at 0 and 1 for accuracies. With three seeds the interval is wide: two degrees of freedom say little
    about a spread.

    Args:
        curves: One curve a task, from `RankAccuracyCurve.from_seeds`; of several the unweighted mean is predicted.
        rank_weights: For each task its weights, shape (K,).
        confidence_level: Probability that the next training lies in it.
        target: Over which documents: these ones for "seeds" and "benchmark", else all of their kind.

    Raises:
        CurveError: If a curve has no seeds.
    """
    n_seeds = fewest(curves, "seeds")
    if n_seeds < MIN_SEEDS or min(curve.n_documents or 0 for curve in curves) < 2:
        return None
    fixed = target in FIXED
    over = "seeds" if fixed else "docs+seeds+prompts" if target == "docs+seeds+prompts" else "docs+seeds"
    mean = method_score(curves, rank_weights, target=over)
    seeds = sum(part.variance for part in mean.parts if part.source == "seeds")
    documents = 0.0 if fixed else max(0.0, sum(part.variance for part in mean.parts if part.source != "seeds"))
    half = quantile((1 + confidence_level) / 2, effective_df(mean)) * sqrt((n_seeds + 1) * seeds + documents)
    low, high = mean.value - half, mean.value + half
    if all(curve.bounded for curve in curves):
        low, high = max(0.0, low), min(1.0, high)
    return Interval(low, high, confidence_level, "prediction", mean.target)
