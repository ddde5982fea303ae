"""What a rank costs as one number, and the axis that shows it: size of the adapter, or a time from `aurac profile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aurac.analysis.adapter_size import full_rank, parameters
from aurac.errors import CurveError, RecordError, UnknownNameError
from aurac.results import Profile, Run, read_profile
from aurac.results.profile import ProfileRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = "size"
"""The cost that needs no profile: parameters, or ranks where the weights are not at hand."""


@dataclass(frozen=True)
class CostAxis:
    """The cost of every rank of every run.

    Attributes:
        costs: For each run: rank -> cost.
        dress: Gives an x axis its spacing, ticks and label, from the costs that are drawn.
    """

    costs: Sequence[Mapping[int, float]]
    dress: Callable[[Axes, Sequence[float]], None]


@dataclass(frozen=True)
class Measured:
    """A column of a profile: what its axis is called, and its value at a rank."""

    label: str
    value: Callable[[ProfileRow], float]


MEASURED = {
    "prefill": Measured("prefill with the adapter attached (ms)", lambda row: 1000 * row.unmerged.prefill_seconds),
    "decode": Measured("one token with the adapter attached (ms)", lambda row: 1000 * row.unmerged.decode_seconds),
}
COSTS = (SIZE, *MEASURED)


def cost_axis(runs: Sequence[Run], cost: str = SIZE) -> CostAxis:
    """Return the costs of the runs' ranks, and their axis.

    Raises:
        UnknownNameError: If `cost` is not in `COSTS`.
        RecordError: If a run, or a rank that was scored, has no time.
        CurveError: If two profiles were measured under different conditions, so that their times do not compare.
    """
    if cost not in COSTS:
        raise UnknownNameError("cost", cost, COSTS)
    if cost != SIZE:
        return CostAxis(_times(runs, MEASURED[cost]), partial(_dress_times, MEASURED[cost].label))
    sizes = [parameters(run) for run in runs]
    if None in sizes:
        return CostAxis([{rank: rank for rank in run.ranks} for run in runs], _dress_ranks)
    shares = [(size or 0) / full_rank(run) for run, size in zip(runs, sizes, strict=True)]
    costs = [{rank: rank * share for rank in run.ranks} for run, share in zip(runs, shares, strict=True)]
    return CostAxis(costs, _dress_parameters)


def _times(runs: Sequence[Run], column: Measured) -> list[dict[int, float]]:
    profiles = [_profile(run) for run in runs]
    for run, profile in zip(runs, profiles, strict=True):
        _check_conditions(runs[0].name, profiles[0], run.name, profile)
    return [{row.rank: column.value(row) for row in profile.rows} for profile in profiles]


def _profile(run: Run) -> Profile:
    trained = run.seeds or (run,)  # the adapters of all seeds cost the same
    profile = next((found for one in trained if (found := read_profile(one)) is not None), None)
    if profile is None:
        raise RecordError(
            f"run {run.name!r} has no times. Measure them with `aurac profile ADAPTER_DIR --out {trained[0].path}`."
        )
    if lacking := [rank for rank in run.ranks if profile.row(rank) is None]:
        raise RecordError(
            f"run {run.name!r} was scored at rank {lacking[0]}, which its profile lacks. Run `aurac profile` with all "
            "ranks."
        )
    return profile


def _check_conditions(first: str, a: Profile, second: str, b: Profile) -> None:
    differing = [key for key, value in a.conditions.items() if b.conditions.get(key) != value]
    if differing:
        key = differing[0]
        raise CurveError(
            f"times of {first} and {second} do not compare: {key} is {a.conditions[key]} and {b.conditions.get(key)}. "
            "Profile both on the same machine with the same settings."
        )


def _dress_parameters(ax: Axes, _: Sequence[float]) -> None:
    """Give ticks that can be read: 1, 2, 5 times powers of ten."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    ax.set_xscale("log", base=10)
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("adapter parameters")


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
