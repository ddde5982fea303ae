"""How scores are integrated and compared, as one object that is passed on instead of six arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from aurac.analysis.costs import axis_names
from aurac.errors import OptionError
from aurac.quadrature import RULES, Axis


def rule_names() -> tuple[str, ...]:
    """Return the names of the rules that need nothing but the ranks."""
    return tuple(rule for rule in RULES if rule != "prior")


def read_level(text: str) -> float:
    """Read a level, or raise `OptionError`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise OptionError(f"{text} is not between 0 and 1, both excluded; for example 0.95")
    return value


@dataclass(frozen=True)
class Settings:
    """How a comparison is made; the arguments of `compare` of the same names, of which some are flags.

    Attributes:
        axis: What is integrated over.
        rule: Integration rule.
        confidence_level: Of the intervals.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.
        target: What errors and tests are about, a name in `aurac.statistics.seeds.TARGETS`.
        family: What p-values are adjusted over, a name in `aurac.analysis.families.FAMILIES`.
        along: The axis itself, where it is a cost that the runs have in common (`aurac.analysis.cost_axes.axis_of`).
    """

    axis: str = field(default="log2", metadata={"choices": axis_names})
    rule: str = field(default="trapezoid", metadata={"choices": rule_names})
    confidence_level: float = field(default=0.95, metadata={"metavar": "P", "read": read_level})
    n_resamples: int = field(default=9999, metadata={"option": False})
    seed: int = field(default=12345, metadata={"option": False})
    target: str = field(default="docs", metadata={"option": False})
    along: Axis | None = field(default=None, metadata={"option": False})
    family: str = field(default="task", metadata={"option": False})

    @property
    def alpha(self) -> float:
        """Level of the tests that belongs to the intervals."""
        return round(1 - self.confidence_level, 12)

    @property
    def area(self) -> dict[str, Any]:
        """How a curve is integrated; arguments of `compute`."""
        return {"axis": self.along or self.axis, "rule": self.rule}
