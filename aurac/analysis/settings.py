"""How scores are integrated and compared, as one object that is passed on instead of six arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aurac.quadrature import Axis


@dataclass(frozen=True)
class Settings:
    """How a comparison is made; the arguments of `compare` of the same names.

    Attributes:
        axis: What is integrated over, a name in `aurac.analysis.costs.axis_names()`.
        rule: A name in `aurac.quadrature.RULES`.
        confidence_level: Of all intervals, between 0 and 1.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.
        target: What errors and tests are about, a name in `aurac.statistics.seeds.TARGETS`.
        along: The axis itself, where it is a cost that the runs have in common (`aurac.analysis.cost_axes.axis_of`).
    """

    axis: str = "log2"
    rule: str = "trapezoid"
    confidence_level: float = 0.95
    n_resamples: int = 9999
    seed: int = 12345
    target: str = "docs"
    along: Axis | None = None

    @property
    def alpha(self) -> float:
        """Level of the tests that belongs to the intervals."""
        return round(1 - self.confidence_level, 12)

    @property
    def area(self) -> dict[str, Any]:
        """How a curve is integrated; arguments of `compute`."""
        return {"axis": self.along or self.axis, "rule": self.rule}
