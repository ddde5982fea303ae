"""What documents leave open where nothing varies: an error that cannot be estimated is not zero."""

from __future__ import annotations

from aurac.statistics.estimate import Interval


def unseen_share(n_documents: int, alpha: float) -> float:
    """Return the share of new documents that may deviate although none of `n_documents` did: (1 - q)^n = alpha.

    A larger share would have shown itself with a chance of 1 - alpha. At alpha 0.05 it is close to 3 / n, the rule of
    three.

    Example:
        >>> round(unseen_share(64, 0.05), 4)
        0.0457
    """
    return float(1 - alpha ** (1 / n_documents))


def flat_interval(
    value: float, n_documents: int, *, bounds: tuple[float, float] = (0.0, 1.0), confidence_level: float = 0.95
) -> Interval:
    """Return an interval for a mean of which every document had the same `value`, within `bounds`.

    On each side the unseen share is at the bound (Clopper and Pearson 1934, for none of n).

    Example:
        >>> interval = flat_interval(0.0, 64, bounds=(-1, 1))  # 1 - 0.025 ** (1 / 64)
        >>> round(interval.low, 4), round(interval.high, 4)
        (-0.056, 0.056)
    """
    q = unseen_share(n_documents, (1 - confidence_level) / 2)
    low, high = bounds
    return Interval(value - q * (value - low), value + q * (high - value), confidence_level, "binomial")
