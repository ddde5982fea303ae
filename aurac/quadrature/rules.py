"""Integration rules: how measured points are joined, each with its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.registry import Registry

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """Weights from positions on the axis, and how texts speak of them.

    Attributes:
        function: From the positions of at least 2 ranks, increasing, shape (K,), to weights that sum to 1, shape (K,).
        words: What one integrates with, as a sentence says it: "the trapezoid rule".
        formula: The weight of rank k, for the docs; x_k is its position and L the width of the axis.
        when: What it is for, likewise.
        short: Name in signatures, by default the name in the table.
        name: In the table; set by `rule_named`.
    """

    function: Callable[[Vector], Vector]
    words: str
    formula: str = ""
    when: str = ""
    short: str = ""
    name: str = ""

    def __call__(self, x: Vector) -> Vector:
        """Return the weights at these positions, or raise `CurveError` where they are none."""
        made = np.asarray(self.function(x), dtype=np.float64)
        if made.shape != x.shape or not np.isclose(made.sum(), 1.0, rtol=1e-9):
            raise CurveError(
                f"rule {self.name!r} gives the weights {made.tolist()} for {len(x)} ranks. Give one number a rank, "
                "1 in sum."
            )
        return made


def _left(x: Vector) -> Vector:
    return np.asarray(np.append(np.diff(x), 0.0) / (x[-1] - x[0]))


def _right(x: Vector) -> Vector:
    return np.asarray(np.append(0.0, np.diff(x)) / (x[-1] - x[0]))


def _trapezoid(x: Vector) -> Vector:
    return np.asarray((_left(x) + _right(x)) / 2)


def _simpson(x: Vector) -> Vector:
    from scipy.integrate import simpson

    return np.asarray(simpson(np.eye(len(x)), x=x, axis=1) / (x[-1] - x[0]), dtype=np.float64)


def _uniform(x: Vector) -> Vector:
    return np.full(len(x), 1.0 / len(x))


TRAPEZOID = Rule(
    _trapezoid,
    words="the trapezoid rule",
    formula="(x_{k+1} − x_{k−1}) / 2L",
    when="the authors' first version on the linear axis, their second on log2",
    short="trap",
)
LEFT = Rule(
    _left,
    words="left steps",
    formula="(x_{k+1} − x_k) / L",
    when="a rank budget is uniform on the axis and only measured ranks may be deployed",
)
RIGHT = Rule(
    _right,
    words="right steps",
    formula="(x_k − x_{k−1}) / L",
    when="the mirror image; the trapezoid is the mean of the two",
)
PRIOR = Rule(
    _uniform,
    words="the weights of a deployment mix",
    formula="π_k / Σπ",
    when="the deployment mix is known: `prior={1: 3, 8: 1}`",
)
UNIFORM = Rule(_uniform, words="equal weights", formula="1 / K", when="plain mean")
SIMPSON = Rule(
    _simpson,
    words="Simpson's rule",
    formula="scipy's, on log2 only",
    when="smooth curves; on the linear axis its weights oscillate, so it is refused",
)

RULES = Registry(
    "integration rule",
    {
        "trapezoid": "aurac.quadrature.rules:TRAPEZOID",
        "left": "aurac.quadrature.rules:LEFT",
        "right": "aurac.quadrature.rules:RIGHT",
        "simpson": "aurac.quadrature.rules:SIMPSON",
        "uniform": "aurac.quadrature.rules:UNIFORM",
        "prior": "aurac.quadrature.rules:PRIOR",
    },
    group="aurac.rules",
)
"""Rule name -> `Rule`, or a function as in `Rule.function` that needs no words; "prior" takes them from the caller."""

REFUSED_RULES = {
    "simpson-linear": (
        "on the linear axis with doubling ranks its weights oscillate and the smallest rank gets none. Use axis='log2' "
        "or rule='trapezoid'."
    ),
    "running-max": "the running maximum of noisy accuracies is biased upwards. Use rule='trapezoid'.",
    "best-rank": "the accuracy at the best rank is biased upwards by the choice. Use rule='trapezoid'.",
}
"""Rule name -> why it is not offered and what to use."""


def rule_named(name: str) -> Rule:
    """Return the entry of a rule with its name in it; `UnknownNameError` for a name that is not in `RULES`.

    Example:
        >>> rule_named("trapezoid").words, rule_named("left").short
        ('the trapezoid rule', 'left')
    """
    found = RULES[name]
    rule = found if isinstance(found, Rule) else Rule(found, words=f"the {name} rule")
    return replace(rule, name=name, short=rule.short or name)
