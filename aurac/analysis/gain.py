"""What an adapter adds to its base model: gain over rank 0, and the share of it that sub-ranks keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Axis, weights

_SURE = 2.0
"""A gain of less than so many standard errors has no shares that mean anything."""


@dataclass(frozen=True)
class Gain:
    """One curve against the base model on the same documents; positive is better, whatever the metric's direction.

    Attributes:
        base: Score of the base model.
        area: AURAC minus that score. Weights of ranks sum to 1, so it is the mean over documents of
            sum(w_k y_ik) - y_i0, whose standard error is exact.
        area_stderr: Over the documents; None without scores of documents.
        full: Score at the largest measured rank minus that of the base.
        full_stderr: Likewise.
        recovered: Rank -> share of the gain at the largest rank; None where that gain is not shown to be one.
        recovered_area: The same share of `area`.
    """

    base: float
    area: float
    area_stderr: float | None
    full: float
    full_stderr: float | None
    recovered: Mapping[int, float | None]
    recovered_area: float | None


def gain(curve: RankAccuracyCurve, *, axis: str | Axis = "log2", rule: str = "trapezoid") -> Gain | None:
    """Return the gain over the base model; None where the base was not measured.

    Example:
        >>> found = gain(RankAccuracyCurve([1, 2], [0.4, 0.6], base=0.2))
        >>> found.full, found.recovered[1], round(found.area, 12)
        (0.39999999999999997, 0.5000000000000001, 0.3)
    """
    if curve.base is None:
        return None
    sign = 1.0 if curve.higher_is_better else -1.0
    share = weights(curve.ranks, axis, rule)
    gains = sign * (curve.accuracies - curve.base)  # (K,)
    area, full = float(share @ gains), float(gains[-1])
    area_stderr = full_stderr = None
    if curve.scores is not None and curve.base_scores is not None and len(curve.scores) > 1:
        over_base = curve.scores - curve.base_scores[:, None]  # (n, K)
        area_stderr, full_stderr = _stderr(over_base @ share), _stderr(over_base[:, -1])
    is_gain = full > (0 if full_stderr is None else _SURE * full_stderr)
    recovered = {r: float(g / full) if is_gain else None for r, g in zip(curve.ranks, gains, strict=True)}
    return Gain(curve.base, area, area_stderr, full, full_stderr, recovered, area / full if is_gain else None)


def _stderr(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)
