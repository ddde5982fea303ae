"""A rule and an axis, with the words for prose and plots."""

from __future__ import annotations

import numpy as np

from aurac.quadrature import Axis, Rule, Vector


def rising(x: Vector) -> Vector:
    """Return k / (1 + 2 + ... + K) for the k-th of K measured ranks."""
    places = np.arange(1, len(x) + 1)
    return np.asarray(places / places.sum())


RISING = Rule(rising, words="weights that rise from rank to rank")
SQRT = Axis(np.sqrt, words="the square root of the rank", counts="every step of the root", label="square root of rank")
