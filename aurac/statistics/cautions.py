"""What a reader of one score should know, found from the curve, its weights and its error."""

from __future__ import annotations

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Axis, Vector, effective_ranks
from aurac.statistics.estimate import Interval

FLAT = "all documents have the same score, so the error is unknown (± ?), not 0; look at the interval, if any"
GRID_TOLERANCE = 0.01
"""Change of the score on every other rank, as a fraction, above which the grid is warned about."""


def cautions(
    curve: RankAccuracyCurve, w: Vector, *, axis: str | Axis, rule: str, stderr: float | None, interval: Interval | None
) -> tuple[str, ...]:
    """Return one sentence a caution; none when there is nothing to say.

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
    over_documents = interval is not None and interval.target == "docs"
    if interval and over_documents and interval.method == "t" and curve.bounded and _near_ceiling(curve, interval):
        found.append("near 0 or 1 with fewer than 200 documents the t interval covers too rarely; use ci='wilson'")
    return tuple(found)


def _grid_warning(curve: RankAccuracyCurve, axis: str | Axis, rule: str) -> list[str]:
    """Compare with the score on every other rank, both ends kept."""
    if rule not in {"trapezoid", "left", "right"} or len(curve.ranks) < 4 or not curve.bounded:
        return []
    coarse = curve.select_ranks(sorted({curve.ranks[0], *curve.ranks[::-2]}))
    change = coarse.area(rule, axis=axis) - curve.area(rule, axis=axis)
    if abs(change) <= GRID_TOLERANCE:
        return []
    ranks = "-".join(map(str, coarse.ranks))
    return [
        f"on the ranks {ranks} alone the score would change by {100 * change:+.1f} points: another grid of ranks is "
        "another metric"
    ]


def _weight_warning(curve: RankAccuracyCurve, w: Vector) -> list[str]:
    if len(w) < 4 or effective_ranks(w) > len(w) / 2:
        return []
    top = np.argsort(w)[::-1][:2]
    names = " and ".join(str(curve.ranks[k]) for k in sorted(top))
    return [
        f"ranks {names} carry {100 * w[top].sum():.0f} % of the weight (K_eff {effective_ranks(w):.1f} of {len(w)})"
    ]


def _near_ceiling(curve: RankAccuracyCurve, interval: Interval) -> bool:
    middle = (interval.low + interval.high) / 2
    return (curve.n_documents or 0) < 200 and not 0.1 < middle < 0.9
