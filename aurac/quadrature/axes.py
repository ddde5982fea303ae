"""What a curve is integrated over: functions of the rank, each with its words and its look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.registry import Registry

Vector = npt.NDArray[np.float64]


def same(x: Vector) -> Vector:
    """Return x."""
    return x


@dataclass(frozen=True)
class Axis:
    """Where a rank lies on the axis, and how texts and plots speak of it.

    Attributes:
        position: Increasing function from ranks, shape (K,), to positions; where the positions are costs of an adapter,
            `costs` has them, and this is not used.
        words: What is integrated over, as a sentence says it: "the rank".
        counts: What counts the same, for the docs.
        label: Of the x axis in plots, with the unit.
        log_base: The base, where the position is a logarithm; plots then have a logarithmic scale.
        costs: Rank -> what it costs, for axes that are not the rank, in the unit of the label.
        name: In signatures; set by `axis_named`.

    Example:
        >>> Axis(np.sqrt, words="the square root of the rank")(np.array([1.0, 4.0])).tolist()
        [1.0, 2.0]
    """

    position: Callable[[Vector], Vector] = same
    words: str = "the rank"
    counts: str = ""
    label: str = "rank"
    log_base: float | None = None
    costs: Mapping[int, float] | None = None
    name: str = ""

    def __call__(self, ranks: Vector) -> Vector:
        """Return the positions of the ranks, shape (K,).

        Raises:
            CurveError: If the cost of a rank is not known.
        """
        if self.costs is None:
            return np.asarray(self.position(ranks), dtype=np.float64)
        if unknown := [rank for rank in ranks if rank not in self.costs]:
            raise CurveError(
                f"rank {unknown[0]:g} has no place on the {self.name} axis. Known are the measured ranks: "
                f"{', '.join(map(str, sorted(self.costs)))}."
            )
        return np.array([self.costs[int(rank)] for rank in ranks], dtype=np.float64)

    def __str__(self) -> str:
        """Return the name, as signatures and messages have it."""
        return self.name


LINEAR = Axis(counts="every rank")
LOG2 = Axis(np.log2, words="the base-2 logarithm of the rank", counts="every doubling of the rank", log_base=2)

AXES = Registry(
    "axis",
    {"linear": "aurac.quadrature.axes:LINEAR", "log2": "aurac.quadrature.axes:LOG2"},
    group="aurac.axes",
)
"""Axis name -> `Axis`, or a function from ranks to positions that needs no words of its own."""


def axis_named(axis: str | Axis) -> Axis:
    """Return the entry of an axis with its name in it; `UnknownNameError` for a name that is not in `AXES`.

    Example:
        >>> axis_named("log2").words
        'the base-2 logarithm of the rank'
    """
    if isinstance(axis, Axis):
        return axis if axis.name else replace(axis, name="own")
    found = AXES[axis]
    entry = found if isinstance(found, Axis) else Axis(found, words=f"the rank on the {axis} axis")
    return replace(entry, name=axis)


def positions(axis: Axis, ranks: Vector) -> Vector:
    """Return the positions of increasing ranks, or raise `CurveError` where the axis does not increase."""
    x = axis(ranks)
    if x.shape != ranks.shape or not np.isfinite(x).all():
        raise CurveError(f"the {axis} axis gives {x.tolist()} for the ranks {ranks.tolist()}. Give one number each.")
    if len(falls := np.flatnonzero(np.diff(x) <= 0)):
        first, second = int(falls[0]), int(falls[0]) + 1
        cure = "Measure with more repeats, or take another axis." if axis.costs else "Correct it."
        raise CurveError(
            f"the {axis} axis does not increase from rank {ranks[first]:g} ({x[first]:.6g}) to rank "
            f"{ranks[second]:g} ({x[second]:.6g}), so there is no area over it. {cure}"
        )
    return x
