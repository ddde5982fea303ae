"""The x axis of plots over ranks: where the ranks of each curve lie, and which ticks and label it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aurac.analysis.cost_axes import axis_of
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import Axis, axis_named
from aurac.quadrature.axes import positions, same
from aurac.report.numbers import count_text
from aurac.report.plots.axes import points_of
from aurac.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROOM = 1 / 16
"""Share of the axis that a tick needs to itself."""

_APART, _WIDTH = 0.09, 0.36
"""How far two curves are set apart, and all of them at most: in doublings, of which one stands between most ranks."""


@dataclass(frozen=True)
class RankAxis:
    """The x axis of some curves: ranks on a scale, or what the ranks of each curve cost.

    Attributes:
        axes: The axis of each curve; those of the rank are all the same.
        over_parameters: Whether the points of the curves are budgets of parameters.
    """

    axes: tuple[Axis, ...]
    over_parameters: bool = False

    def x(self, curve: int, ranks: Sequence[int], *, apart: tuple[int, int] | None = None) -> Any:
        """Return where a curve has its ranks, shape (K,).

        Args:
            curve: Number of the curve.
            ranks: Its ranks.
            apart: Where error bars would hide one another: it is the `apart[0]`th of `apart[1]` curves that are set a
                little apart.
        """
        axis, grid = self.axes[curve], np.asarray(ranks, dtype=float)
        x = grid if axis.costs is None else axis(grid)
        if apart is None:
            return x.tolist()
        number, total = apart
        shift = (number - (total - 1) / 2) * min(_APART, _WIDTH / max(total - 1, 1))
        return x * axis.log_base**shift if axis.log_base else x + shift * x.max() / 12

    def dress(self, ax: Axes, ranks: Sequence[int]) -> None:
        """Give the x axis its spacing, a label with the unit, and ticks: at every measured rank that has room."""
        axis = self.axes[0]
        ax.set_xlabel("adapter parameters" if self.over_parameters and axis.costs is None else axis.label)
        ax.grid(axis="y", linewidth=0.4, alpha=0.4)
        if axis.costs is not None:
            _tick_costs(ax)
        else:
            _space(ax, axis, ranks)
            _tick_ranks(ax, _with_room(axis, ranks), engineering=self.over_parameters)


def rank_axis(items: Sequence[Run | RankAccuracyCurve], axis: str) -> RankAxis:
    """Return the x axis by its name: one of `aurac.quadrature.AXES`, or a cost, of which each run has its own.

    Raises:
        CurveError: If the axis is a cost and an item a curve, which has none.
        RecordError: If a run does not know what its ranks cost.
        UnknownNameError: If there is no such axis.
    """
    axes = tuple(axis_named(axis_of(axis, [item])) for item in items)
    return RankAxis(axes, any(points_of(item) == "parameters" for item in items))


def _space(ax: Axes, axis: Axis, ranks: Sequence[int]) -> None:
    if axis.log_base is not None:
        ax.set_xscale("log", base=axis.log_base)
    elif axis.position is not same and len(ranks) > 1:
        grid = np.asarray(ranks, dtype=float)
        place = positions(axis, grid)
        ax.set_xscale("function", functions=(_through(grid, place), _through(place, grid)))


def _through(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Any:
    """Return the function with straight lines through the points, which go on beyond both ends."""

    def line(at: Any) -> Any:
        at = np.asarray(at, dtype=float)
        below = y[0] + (at - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
        above = y[-1] + (at - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
        return np.where(at < x[0], below, np.where(at > x[-1], above, np.interp(at, x, y)))

    return line


def _with_room(axis: Axis, ranks: Sequence[int]) -> list[int]:
    """Return the ranks from the largest down that are not too close to the one above; all of them on a logarithm."""
    if axis.log_base is not None or len(ranks) <= 6:
        return list(ranks)
    place = axis(np.asarray(ranks, dtype=float))
    shown, width = [len(ranks) - 1], place[-1] - place[0]
    for k in range(len(ranks) - 2, -1, -1):
        if place[shown[-1]] - place[k] >= _ROOM * width:
            shown.append(k)
    return [ranks[k] for k in reversed(shown)]


def _tick_ranks(ax: Axes, shown: Sequence[int], *, engineering: bool) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    written = count_text if engineering else str
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_major_formatter(FixedFormatter([written(rank) for rank in shown]))
    ax.xaxis.set_minor_locator(NullLocator())


def _tick_costs(ax: Axes) -> None:
    from matplotlib.ticker import EngFormatter

    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
