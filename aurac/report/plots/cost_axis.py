"""What a rank costs as the x axis of a plot: size of the adapter, or anything else in `aurac.analysis.costs.COSTS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aurac.analysis.cost_axes import costs_of
from aurac.analysis.costs import COSTS
from aurac.analysis.rank_costs import check_conditions
from aurac.errors import RecordError, UnknownNameError
from aurac.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = "size"
"""The cost that needs no profile: parameters, or ranks where they are not known."""
_NAMES = {"decode": "latency"}
"""Other name of a cost -> its name in `COSTS`."""


@dataclass(frozen=True)
class CostAxis:
    """The cost of every rank of every run.

    Attributes:
        costs: For each run: rank -> cost.
        dress: Gives an x axis its spacing, ticks and label, from the costs that are drawn.
    """

    costs: Sequence[Mapping[int, float]]
    dress: Callable[[Axes, Sequence[float]], None]


def cost_names() -> tuple[str, ...]:
    """Return the names of costs."""
    return (SIZE, *COSTS, *_NAMES)


def is_measured(cost: str | None) -> bool:
    """Tell whether a cost is a time, which differs from one measurement to the next."""
    return cost not in (None, SIZE) and COSTS[_NAMES.get(str(cost), str(cost))].measured


def cost_axis(runs: Sequence[Run], cost: str = SIZE) -> CostAxis:
    """Return the costs of the runs' ranks, and their axis.

    Raises:
        UnknownNameError: If `cost` is not in `cost_names`.
        RecordError: If a run, or a rank that was scored, has no such cost.
        CurveError: If two profiles were measured under different conditions, so that their times do not compare.
    """
    if cost not in cost_names():
        raise UnknownNameError("cost", cost, cost_names())
    if cost == SIZE:
        try:
            return CostAxis([costs_of("params", run) for run in runs], partial(_dress_sizes, COSTS["params"].label))
        except RecordError:
            return CostAxis([{rank: rank for rank in run.ranks} for run in runs], _dress_ranks)
    name = _NAMES.get(cost, cost)
    costs, entry = [costs_of(name, run) for run in runs], COSTS[name]
    if entry.measured:
        check_conditions(runs)
    return CostAxis(costs, partial(_dress_times if entry.measured else _dress_sizes, entry.label))


def _dress_sizes(label: str, ax: Axes, _: Sequence[float]) -> None:
    """Give ticks that can be read: 1, 2, 5 times powers of ten."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    ax.set_xscale("log", base=10)
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(label)


def _dress_ranks(ax: Axes, ranks: Sequence[float]) -> None:
    """Give a tick for each rank."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(ranks))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{rank:g}" for rank in ranks]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("rank")


def _dress_times(label: str, ax: Axes, _: Sequence[float]) -> None:
    ax.set_xlabel(label)
