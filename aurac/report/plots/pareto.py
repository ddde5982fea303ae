"""Score against what a rank costs, with the Pareto front: which rank of which run is worth its size or its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aurac.errors import CurveError
from aurac.report.plots import style
from aurac.report.plots.axes import Plottable, items_of, new_axes
from aurac.report.plots.cost_axis import SIZE, cost_axis
from aurac.report.plots.looks import looks as looks_of
from aurac.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Point:
    """One rank of one run: its size (parameters, the rank where they are unknown, or a time) and its score."""

    run: str
    rank: int
    size: float
    score: float


def pareto_front(points: Sequence[Point], *, higher_is_better: bool = True) -> list[Point]:
    """Return the points that no point of at most their size reaches, from the smallest on.

    Example:
        >>> points = [Point("a", 1, 10, 0.4), Point("a", 2, 20, 0.3), Point("b", 1, 20, 0.6), Point("b", 2, 40, 0.6)]
        >>> [(p.run, p.size) for p in pareto_front(points)]
        [('a', 10), ('b', 20)]
    """
    sign = 1 if higher_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.size, -sign * p.score)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def plot_pareto(
    runs: Sequence[Plottable] | Plottable,
    *,
    tasks: str | Sequence[str] | None = None,
    cost: str = SIZE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the score at every rank against the cost of that rank, and the front over all runs.

    The front is made of point estimates, of which the best are lucky; `aurac recommend` has the test.

    Args:
        runs: Runs or paths of runs.
        tasks: Which tasks, by default all that the first run has; several count with their mean.
        cost: "size" (the adapter's parameters at that rank), or "prefill" or "decode" (times of `aurac profile`).
        ax: Axes to draw into; by default new ones, one paper column wide.

    Raises:
        CurveError: If a curve is given, which has no adapter, or the tasks have no mean, or times do not compare.
        RecordError: If a time is asked for and a run or a rank was not profiled.
        UnknownNameError: If there is no such cost.
    """
    import matplotlib.pyplot as plt

    loaded = []
    for item in items_of(runs):
        if not isinstance(item, Run):
            raise CurveError("a curve says nothing about the size of its adapter. Give runs.")
        loaded.append(item)
    axis = cost_axis(loaded, cost)
    names = [tasks] if isinstance(tasks, str) else list(loaded[0].tasks if tasks is None else tasks)
    if not names:
        raise CurveError(f"run {loaded[0].name!r} has no curve. {' '.join(loaded[0].problems.values())}".strip())
    groups = [_points(run, costs, names) for run, costs in zip(loaded, axis.costs, strict=True)]
    curve = loaded[0].curve(names[0])
    unit = 100.0 if curve.bounded else 1.0
    front = pareto_front([p for group in groups for p in group], higher_is_better=curve.higher_is_better)
    with plt.rc_context(style.RC):
        ax = new_axes(ax)
        ax.step(
            [p.size for p in front], [p.score * unit for p in front], where="post", label="Pareto front", **style.FRONT
        )
        looks = looks_of([run.name for run in loaded])
        for run, points, look in zip(loaded, groups, looks, strict=True):
            x, y = [p.size for p in points], [p.score * unit for p in points]
            ax.plot(x, y, label=style.label(run.name), **look | {"linewidth": 0.8})
        for point in front:
            ax.annotate(f"r={point.rank}", (point.size, point.score * unit), xytext=(0, 4),
                        textcoords="offset points", ha="center", fontsize=6)  # fmt: skip
        axis.dress(ax, sorted({p.size for group in groups for p in group}))
        what = style.label(names[0]) if len(names) == 1 else "mean over tasks"
        ax.set_ylabel(f"{what}{' (points)' if unit == 100 else ''}")
        ax.margins(y=0.12)
        ax.grid(linewidth=0.4, alpha=0.4)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


def _points(run: Run, costs: Mapping[int, float], tasks: Sequence[str]) -> list[Point]:
    curves = [run.curve(name) for name in tasks]
    if len(curves) > 1 and not all(curve.bounded and curve.higher_is_better for curve in curves):
        raise CurveError(
            "the tasks have metrics of different units or directions, which have no mean. Choose with tasks=."
        )
    ranks = sorted(set.intersection(*(set(curve.ranks) for curve in curves)))
    scores = [float(np.mean([curve.accuracy_at(rank) for curve in curves])) for rank in ranks]
    return [Point(run.name, rank, costs[rank], score) for rank, score in zip(ranks, scores, strict=True)]
