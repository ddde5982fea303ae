"""Axes and integration rules: a grid of ranks becomes weights that sum to 1, so that AURAC = sum of w_k * acc_k.

The trapezoid on the linear axis is the first version of the MatryoshkaLoRA authors (arXiv 2605.07850), on the log2 axis
their second. Axis and rule are two separate choices; what is known about each stands with its entry.
"""

from aurac.quadrature.axes import AXES, Axis, Vector, axis_named
from aurac.quadrature.rules import REFUSED_RULES, RULES, Rule, rule_named
from aurac.quadrature.weighting import as_floats, check_ranks, effective_ranks, weights

__all__ = [
    "AXES",
    "REFUSED_RULES",
    "RULES",
    "Axis",
    "Rule",
    "Vector",
    "as_floats",
    "axis_named",
    "check_ranks",
    "effective_ranks",
    "rule_named",
    "weights",
]
