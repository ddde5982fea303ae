"""Scores relative to guessing: 0 for chance, 1 for perfect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aurac.errors import CurveError
from aurac.statistics.estimate import Estimate, Interval


def chance_level(n_choices: Sequence[int]) -> float:
    """Return the accuracy of guessing, the mean of 1/k over documents with k choices each.

    Example:
        >>> chance_level([2, 4])  # (1/2 + 1/4) / 2
        0.375
    """
    choices = np.asarray(n_choices, dtype=np.float64)
    if choices.size == 0 or (choices < 1).any():
        raise CurveError("every document needs at least one choice; give one number of choices a document.")
    return float((1 / choices).mean())


def above_chance(value: float, chance: float) -> float:
    """Return (value - chance) / (1 - chance).

    The correction is affine, so tests are unchanged, and standard errors and differences are divided by 1 - chance.

    Example:
        >>> above_chance(0.625, 0.25)  # 0.375 / 0.75
        0.5
    """
    return (value - check_chance(chance)) / (1 - chance)


def estimate_above_chance(estimate: Estimate, chance: float) -> Estimate:
    """Return the estimate relative to chance, with its error."""
    return Estimate(above_chance(estimate.value, chance), estimate.stderr / (1 - chance), estimate.df)


def interval_above_chance(interval: Interval, chance: float) -> Interval:
    """Return the interval relative to chance."""
    return replace(interval, low=above_chance(interval.low, chance), high=above_chance(interval.high, chance))


def check_chance(chance: float) -> float:
    """Return a chance level in [0, 1), or raise `CurveError`."""
    if not 0 <= chance < 1:
        raise CurveError(f"chance {chance:g} is not in [0, 1). It is the accuracy of guessing, 0.25 for four choices.")
    return chance
