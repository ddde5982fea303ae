"""Intervals that stay valid while documents are still coming in, for decisions that may stop early.

Both are asymptotic normal-mixture sequences. Near the ceiling (accuracy above 0.9) they cover too rarely; for a fixed
precision no sequence is needed, since the stopping time then depends on the spread alone (Chow and Robbins 1965).
"""

from __future__ import annotations

import math

from aurac.errors import CurveError


def sequence_half_width(sd: float, n: int, *, tuned_at: int, alpha: float = 0.05) -> float:
    """Return the half width after n documents of an endless stream (Waudby-Smith et al. 2024, asymptotic sequence).

    s * sqrt(2 (n rho^2 + 1) / (n rho)^2 * log(sqrt(n rho^2 + 1) / alpha)), with rho chosen for the shortest sequence at
    `tuned_at` documents.

    Example:
        >>> round(sequence_half_width(0.2, 300, tuned_at=300), 6)  # a fixed sample would have 0.022632
        0.035048
    """
    _check(n, alpha)
    rho2 = _tuning(alpha) / tuned_at
    grown = n * rho2 + 1
    return sd * math.sqrt(2 * grown / (n**2 * rho2) * math.log(math.sqrt(grown) / alpha))


def remaining_half_width(sd: float, n: int, total: int, *, tuned_at: int, alpha: float = 0.05) -> float:
    """Return the half width after n of `total` documents in random order, for the mean over all of them.

    (N - n) / n * sqrt((V + tau) log((V + tau) / (tau alpha^2))) with V = s^2 n / (N (N - n)): sampling without
    replacement, so that it is 0 once every document was seen (Robbins' mixture; Waudby-Smith and Ramdas 2020).

    Example:
        >>> round(remaining_half_width(0.2, 600, 1172, tuned_at=600), 6), remaining_half_width(0.2, 9, 9, tuned_at=5)
        (0.017313, 0.0)
    """
    _check(n, alpha)
    if not (n <= total and tuned_at < total):
        raise CurveError(f"{n} documents seen and tuned at {tuned_at}, of {total}. Tune below the total.")
    if n == total:
        return 0.0
    clock = sd**2 * n / (total * (total - n))
    tau = sd**2 * tuned_at / (total * (total - tuned_at)) / _tuning(alpha)
    if clock == 0:
        return 0.0
    return (total - n) / n * math.sqrt((clock + tau) * math.log((clock + tau) / (tau * alpha**2)))


def _tuning(alpha: float) -> float:
    return -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))


def _check(n: int, alpha: float) -> None:
    if n < 1 or not 0 < alpha < 1:
        raise CurveError(f"{n} documents and alpha {alpha:g}. Give at least 1 document and an alpha between 0 and 1.")
