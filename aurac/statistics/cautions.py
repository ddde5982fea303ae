"""What a reader of one score should know, found from the curve, its weights and its error."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Axis, Vector, effective_ranks, weights
from aurac.statistics.estimate import Interval

FLAT = "all documents have the same score, so the error is unknown (± ?), not 0; look at the interval, if any"
ENOUGH_DRAWS, MOSTLY_DRAWS = 5, 0.8
"""Draws of few-shot examples, and their share of the variance, between which intervals were measured to be short."""
RARE_PASSAGES = 5
"""Passages that the rarer kind of documents, right or wrong, has to fill, for intervals that cover."""
GRID_TOLERANCE = 0.01
"""Change of the score on every other rank, as a fraction, above which the grid is warned about."""


def cautions(
    curve: RankAccuracyCurve,
    w: Vector,
    *,
    axis: str | Axis,
    rule: str,
    stderr: float | None,
    interval: Interval | None,
    clusters: Sequence[Hashable] | None = None,
) -> tuple[str, ...]:
    """Return one sentence a caution; none when there is nothing to say. `clusters` are those of the interval.

    Example:
        >>> one = RankAccuracyCurve([64], [0.5])
        >>> cautions(one, np.ones(1), axis="log2", rule="trapezoid", stderr=None, interval=None)
        ('one rank: the score is the accuracy at rank 64, not an area', 'no per-document scores: the error is unknown')
    """
    if len(curve.ranks) == 1:
        found = [f"one rank: the score is the accuracy at rank {curve.ranks[0]}, not an area"]
    else:
        found = [*_grid_warning(curve, axis, rule), *_weight_warning(curve, w)]
    if curve.n_documents is None:
        found.append("no per-document scores: the error is unknown")
    if curve.n_documents == 1:
        found.append("one document has no spread, so the error is unknown")
    if stderr == 0 and (interval is None or interval.target == "docs"):
        found.append(FLAT)
    if interval is not None and interval.target.startswith("docs") and curve.bounded:
        found += _interval_warning(curve, interval, clusters)
    if stderr and interval is not None and "prompts" in interval.target:
        found += _draws_warning(curve, w, stderr)
    return tuple(found)


def _grid_warning(curve: RankAccuracyCurve, axis: str | Axis, rule: str) -> list[str]:
    """Compare with the score on every other rank, both ends kept, and say what the ranks leave open."""
    if rule not in {"trapezoid", "left", "right"} or not curve.bounded:
        return []
    low, high = bracket(curve, axis)
    count, found = len(curve.ranks), []
    coarse = curve.select_ranks(sorted({curve.ranks[0], *curve.ranks[::-2]}))
    change = coarse.area(rule, axis=axis) - curve.area(rule, axis=axis)
    if abs(change) > GRID_TOLERANCE:
        ranks, points = "-".join(map(str, coarse.ranks)), f"{100 * change:+.1f}".replace("-", "−")
        found.append(
            f"on the ranks {ranks} alone the score would change by {points} points: another grid of ranks "
            "is another metric"
        )
    if found or (count < 4 and high - low > 2 * GRID_TOLERANCE):
        found.append(
            f"{count} ranks leave the area between {100 * low:.1f} and {100 * high:.1f} open (left and right rule; for "
            "an accuracy that is monotone between them)"
        )
    return found


def bracket(curve: RankAccuracyCurve, axis: str | Axis) -> tuple[float, float]:
    """Return the bounds of the area of any curve through these points that is monotone between neighbouring ranks.

    Where the measured accuracies rise throughout, they are the left and the right rule.

    Example:
        >>> bracket(RankAccuracyCurve([1, 2, 4], [0.2, 0.4, 0.3]), "log2")  # (0.2 + 0.3) / 2, (0.4 + 0.4) / 2
        (0.25, 0.4)
    """
    widths = weights(curve.ranks, axis, "left")[:-1]
    ends = np.stack([curve.accuracies[:-1], curve.accuracies[1:]])
    return float(widths @ ends.min(axis=0)), float(widths @ ends.max(axis=0))


def _weight_warning(curve: RankAccuracyCurve, w: Vector) -> list[str]:
    if len(w) < 4 or effective_ranks(w) > len(w) / 2:
        return []
    top = np.argsort(w)[::-1][:2]
    names = " and ".join(str(curve.ranks[k]) for k in sorted(top))
    return [
        f"ranks {names} carry {100 * w[top].sum():.0f} % of the weight (K_eff {effective_ranks(w):.1f} of {len(w)})"
    ]


def _draws_warning(curve: RankAccuracyCurve, w: Vector, stderr: float) -> list[str]:
    """Say where most of the error is the spread of so few draws of examples that the interval covers too rarely."""
    if curve.prompts is None or (draws := len(curve.prompts.labels)) >= ENOUGH_DRAWS:
        return []
    values = curve.prompts.values.mean(axis=0) @ w
    share = float(values.var(ddof=1)) / draws / stderr**2
    if share < MOSTLY_DRAWS:
        return []
    return [
        f"{100 * min(share, 1.0):.0f} % of the variance is the spread between {draws} draws of few-shot examples, so "
        f"the interval covers up to four points less; score with {ENOUGH_DRAWS} draws or more"
    ]


def _interval_warning(curve: RankAccuracyCurve, interval: Interval, clusters: Sequence[Hashable] | None) -> list[str]:
    """Say where the interval was measured to cover too rarely (docs/validation.md)."""
    n, middle = curve.n_documents or 0, (interval.low + interval.high) / 2
    if interval.method == "t" and n < 200 and not 0.1 < middle < 0.9:
        return ["near 0 or 1 with fewer than 200 documents the t interval covers too rarely; use ci='wilson'"]
    value = float(np.mean(curve.accuracies))
    if clusters is not None:
        return _passages_warning(len(set(clusters)), value, interval)
    if n < 20:
        return [f"{n} documents: intervals of fewer than 20 are rough"]
    if interval.method == "wilson" and n <= 200 and not 0.07 < value < 0.93:
        end = "1" if value > 0.5 else "0"
        level = f"{interval.confidence_level:.0%}"
        return [f"so near {end} the {level} interval over {n} documents covers five to ten points less"]
    return []


def _passages_warning(passages: int, value: float, interval: Interval) -> list[str]:
    """Say where the rarer kind of documents, right or wrong, fills so few passages that their spread is not known."""
    rare = passages * min(value, 1 - value)
    if interval.method != "wilson" or rare >= RARE_PASSAGES:
        return []
    kind = "wrong" if value > 0.5 else "right"
    return [
        f"the documents that are {kind} would fill {rare:.1f} of {passages} passages: where a passage decides its "
        f"documents, the {interval.confidence_level:.0%} interval covers up to twelve points less"
    ]
