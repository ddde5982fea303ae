"""How much of what fine-tuning gains at full rank the whole curve keeps: a ratio of means, with Fieller's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.estimate import Interval, check_level


@dataclass(frozen=True)
class RecoveredGain:
    """rho = (AURAC - base) / (full - base).

    Attributes:
        value: rho; None where the gain at full rank is exactly 0.
        stderr: Its error by the delta method; None likewise.
        interval: Fieller's interval; None when not identified.
        g: t^2 var(v) / v^2 with v the gain at full rank. From 1 on the gain is not distinguishable from 0, and every
            ratio is possible.
        n_documents: Documents behind it.
    """

    value: float | None
    stderr: float | None
    interval: Interval | None
    g: float
    n_documents: int

    def __str__(self) -> str:
        """Print the ratio, or that it is not identified."""
        if self.interval is None or self.value is None:
            return "recovered gain: not identified (the gain at full rank is not distinguishable from 0)"
        i = self.interval
        return f"recovered gain: {self.value:.3f} ({i.confidence_level:.0%} Fieller {i.low:.3f} to {i.high:.3f})"


def recovered_gain(
    score: npt.ArrayLike, full: npt.ArrayLike, base: npt.ArrayLike, *, confidence_level: float = 0.95
) -> RecoveredGain:
    """Return the share of the full-rank gain that a score keeps, with Fieller's (1954) interval.

    Args:
        score: Per-document AURAC a_i, shape (n,).
        full: Per-document score at full rank, shape (n,).
        base: Per-document score of the base model, shape (n,), same documents in the same order.
        confidence_level: Of the interval.

    Raises:
        CurveError: If the three have different lengths, or fewer than 2 documents.

    Example:
        >>> recovered_gain([0.5, 0.25], [1.0, 0.5], [0.0, 0.0]).value  # 0.375 / 0.75
        0.5
    """
    from scipy.special import stdtrit

    a, f, b = (np.asarray(x, dtype=np.float64) for x in (score, full, base))
    n = len(a)
    if not a.shape == f.shape == b.shape or a.ndim != 1 or n < 2:
        raise CurveError(
            f"score, full and base have shapes {a.shape}, {f.shape}, {b.shape}. Give (n,) of n >= 2 documents."
        )
    u, v = a - b, f - b
    u_mean, v_mean = float(u.mean()), float(v.mean())
    (uu, uv), (_, vv) = np.cov(u, v) / n
    t = float(stdtrit(n - 1, (1 + check_level(confidence_level)) / 2))
    if v_mean == 0:
        return RecoveredGain(None, None, None, math.inf, n)
    rho, g = u_mean / v_mean, float(t**2 * vv / v_mean**2)
    stderr = math.sqrt(max(0.0, uu - 2 * rho * uv + rho**2 * vv)) / abs(v_mean)
    if g >= 1:
        return RecoveredGain(rho, stderr, None, g, n)
    # Roots of (u - rho v)^2 = t^2 (uu - 2 rho uv + rho^2 vv).
    a2, a1, a0 = v_mean**2 - t**2 * vv, u_mean * v_mean - t**2 * uv, u_mean**2 - t**2 * uu
    half = math.sqrt(max(0.0, a1**2 - a2 * a0)) / a2
    interval = Interval(float(a1 / a2 - half), float(a1 / a2 + half), confidence_level, "fieller")
    return RecoveredGain(rho, stderr, interval, g, n)
