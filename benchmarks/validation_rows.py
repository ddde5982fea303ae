"""A measured rate of a procedure, and whether it is what was promised."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aurac.quadrature import Vector
from aurac.statistics.estimate import Interval

COVERAGE = (0.93, 0.97)
MARKER = "<!-- What follows is written by benchmarks/validate_parts.py. -->"
"""Between the sections of the two scripts that write docs/validation.md."""


@dataclass(frozen=True)
class Row:
    """A measured rate, and between what it has to lie (None: shown for comparison)."""

    section: str
    procedure: str
    setting: str
    rate: float
    simulations: int
    bar: tuple[float, float] | None
    caution: str = ""
    """What the tool prints in this case, shown where the bar is missed."""

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the rate."""
        return math.sqrt(max(self.rate * (1 - self.rate), 1 / self.simulations) / self.simulations)

    @property
    def digits(self) -> int:
        """Digits that the simulations bear."""
        return 3 if self.simulations < 100_000 else 4

    @property
    def verdict(self) -> str:
        """Whether the rate lies within the bar, or is outside by less than two of its standard errors."""
        if self.bar is None:
            return ""
        outside = max(self.bar[0] - self.rate, self.rate - self.bar[1])
        if outside < 2 * self.error:
            return "kept" if outside <= 0 else "within error"
        return f'missed; the tool says: "{self.caution}"' if self.caution else "**missed**"


def covers(interval: Interval | None, truth: float) -> bool:
    """Tell whether an interval holds the truth."""
    assert interval is not None
    return interval.low <= truth <= interval.high


def holds(low: Vector, high: Vector, truth: Vector) -> bool:
    """Tell whether a band holds the whole curve; an edge that meets it but for rounding counts."""
    return bool(((low <= truth + 1e-12) & (truth <= high + 1e-12)).all())
