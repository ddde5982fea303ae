"""An axis that is a cost: what the ranks of the runs cost, where it is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from aurac.analysis.costs import COSTS, axis_names
from aurac.analysis.rank_costs import Cost, check_conditions
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError, RecordError, UnknownNameError
from aurac.quadrature import AXES, Axis
from aurac.results import Run
from aurac.results.files import PROFILE


def costs_of(name: str, run: Run) -> dict[int, float]:
    """Return measured rank -> cost; of a method with several seeds, as its first training that knows says.

    Raises:
        RecordError: If no training knows what each rank costs.
        UnknownNameError: If the cost is not in `COSTS`.
    """
    cost: Cost = COSTS[name]
    return {rank: float(value) for rank, value in cost.of(run).items()}


def axis_of(axis: str | Axis, items: Sequence[Run | RankAccuracyCurve]) -> str | Axis:
    """Return an axis that all items have in common; one of the rank is what it was.

    Sizes have to be the same for all runs at each rank, since an area over another range is another number. Times are
    the mean over the runs, whose adapters do the same work where they are of the same size.

    Raises:
        CurveError: If the axis is a cost and an item a curve, which has none; or times do not compare.
        ComparisonError: If a rank costs the runs differently.
        RecordError: If a cost is not known.
        UnknownNameError: If there is no such axis.
    """
    if isinstance(axis, Axis) or axis in AXES:
        return axis
    if axis not in COSTS:
        raise UnknownNameError("axis", axis, axis_names())
    runs = [item for item in items if isinstance(item, Run)]
    if len(runs) < len(items) or not runs:
        raise CurveError(
            f"the {axis} axis needs run records: a curve says nothing about what a rank costs. Give records, or take "
            f"an axis of the rank: {', '.join(AXES)}."
        )
    cost: Cost = COSTS[axis]
    found = [costs_of(axis, run) for run in runs]
    if cost.measured:
        check_conditions(runs)
        sizes = [costs_of("params", run) for run in runs]
    else:
        sizes = found
    for (a, first), (b, second) in combinations(zip(runs, sizes, strict=True), 2):
        _check_same(axis, (a.name, first), (b.name, second))
    return Axis(costs=_mean(found), words=cost.words, label=cost.label, name=axis)


def common_axis(axis: str, runs: Sequence[Run]) -> Axis | None:
    """Return `axis_of` where it is a cost; None for an axis of the rank, whose name says all."""
    found = axis_of(axis, runs)
    return found if isinstance(found, Axis) else None


def check_profiled(axis: str, folder: Path) -> None:
    """Raise `RecordError` if the axis is a time and the folder of a record, which need not exist, has no profile."""
    if axis in COSTS and COSTS[axis].measured and not (folder / PROFILE).is_file():
        raise RecordError(
            f"{folder} has no times, which the {axis} axis needs. Measure them first: `aurac profile ADAPTER_DIR --out "
            f"{folder}`, or score without --axis and integrate later."
        )


def _check_same(axis: str, a: tuple[str, Mapping[int, float]], b: tuple[str, Mapping[int, float]]) -> None:
    differing = [rank for rank, value in a[1].items() if b[1].get(rank, value) != value]
    if differing:
        rank = differing[0]
        raise ComparisonError(
            f"{a[0]!r} and {b[0]!r} are adapters of different sizes: rank {rank} is {a[1][rank]:g} and {b[1][rank]:g}, "
            f"so areas over {axis} have different ranges. Compare them over the rank (--axis log2), or draw the scores "
            "against the cost (aurac plot pareto)."
        )


def _mean(found: Sequence[Mapping[int, float]]) -> dict[int, float]:
    ranks = sorted(set().union(*found))
    values = {rank: [costs[rank] for costs in found if rank in costs] for rank in ranks}
    return {rank: sum(known) / len(known) for rank, known in values.items()}


def signed_costs(axis: Axis, ranks: Sequence[int]) -> dict[str, str]:
    """Return what a signature says of the costs of the ranks; nothing for axes of the rank.

    Example:
        >>> signed_costs(Axis(costs={1: 80, 2: 160}, name="params"), [1, 2])
        {'at': '80-160'}
    """
    return {} if axis.costs is None else {"at": "-".join(f"{axis.costs[rank]:.6g}" for rank in ranks)}
