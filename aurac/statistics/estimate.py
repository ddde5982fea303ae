"""A number with its standard error, and an interval that says what it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from aurac.errors import CurveError


@dataclass(frozen=True)
class Interval:
    """A confidence interval that says what it is.

    Attributes:
        low: Lower end, in the unit of the score.
        high: Upper end.
        confidence_level: Nominal coverage.
        method: "wilson" (at the effective number of documents), "score" (inverting the score test), "t", "bca";
            "binomial" where nothing varies; two of them for the wider one on each side.
        target: What is random: "docs" means new documents of this kind, for this very adapter.
    """

    low: float
    high: float
    confidence_level: float
    method: str
    target: str = "docs"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dictionary that JSON can hold."""
        return asdict(self)


def hull(a: Interval, b: Interval) -> Interval:
    """Return the smallest interval that holds both; it says the methods of both where both have an end.

    Example:
        >>> hull(Interval(0.1, 0.4, 0.95, "t"), Interval(0.0, 0.3, 0.95, "score")).method
        't and score'
    """
    low, high = min(a.low, b.low), max(a.high, b.high)
    if (low, high) == (a.low, a.high):
        return a
    method = b.method if (low, high) == (b.low, b.high) else f"{a.method} and {b.method}"
    return replace(a, low=low, high=high, method=method)


@dataclass(frozen=True)
class Estimate:
    """Mean of a per-document score with its standard error and the degrees of freedom of the error."""

    value: float
    stderr: float
    df: float


def check_level(confidence_level: float) -> float:
    """Return the level if it lies strictly between 0 and 1."""
    if not 0 < confidence_level < 1:
        raise CurveError(f"confidence level {confidence_level:g} is not between 0 and 1. Usual: 0.95.")
    return confidence_level
