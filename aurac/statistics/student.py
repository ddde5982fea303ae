"""Student's t, which is the normal distribution at infinite degrees of freedom."""

from __future__ import annotations

import math


def quantile(p: float, df: float = math.inf) -> float:
    """Return the value below which a share `p` lies.

    Example:
        >>> round(quantile(0.975), 3), round(quantile(0.975, 4), 3)
        (1.96, 2.776)
    """
    from scipy.special import ndtri, stdtrit

    return float(ndtri(p) if math.isinf(df) else stdtrit(df, p))


def cumulative(x: float, df: float = math.inf) -> float:
    """Return the share below `x`.

    Example:
        >>> round(cumulative(1.96), 3)
        0.975
    """
    from scipy.special import ndtr, stdtr

    return float(ndtr(x) if math.isinf(df) else stdtr(df, x))
