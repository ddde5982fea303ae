"""Score against what a rank costs, with the Pareto front: which rank of which run is worth its size or its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.analysis.front import Front, Point, points_of, shown_front
from aurac.errors import CurveError
from aurac.report.plots import style
from aurac.report.plots.axes import Plottable, items_of, new_axes
from aurac.report.plots.cost_axis import SIZE, cost_axis
from aurac.report.plots.looks import looks as looks_of
from aurac.report.plots.order import best_first, ordered
from aurac.results import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVEL = 0.95
"""Of the bar of each point, by itself."""


def plot_pareto(
    runs: Sequence[Plottable] | Plottable,
    *,
    tasks: str | Sequence[str] | None = None,
    cost: str = SIZE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the score at every rank against the cost of that rank, with its error, and the front over all runs.

    The front goes up only where documents show it: a step is better than the one before by a paired test at 5 %,
    divided by the number of points. It is named after its run, and after those of the same cost that the tests cannot
    tell apart from it. Runs without documents have a front of estimates, and the legend says so.

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
    groups = [
        points_of(run, costs, names, confidence_level=_LEVEL) for run, costs in zip(loaded, axis.costs, strict=True)
    ]
    curve = loaded[0].curve(names[0])
    unit = 100.0 if curve.bounded else 1.0
    every = [p for group in groups for p in group]
    front = shown_front(loaded, every, names)
    with plt.rc_context(style.RC):
        ax = new_axes(ax, height=2.8)
        _draw_front(ax, front, unit, to=max(p.size for p in every))
        looks = looks_of([run.name for run in loaded])
        for run, points, look in zip(loaded, groups, looks, strict=True):
            x, y = [p.size for p in points], [p.score * unit for p in points]
            ax.plot(x, y, label=style.label(run.name), **look | {"linewidth": 0.8})
            _draw_errors(ax, points, look["color"], unit)
        _name_steps(ax, front, unit, several=len(loaded) > 1)
        axis.dress(ax, sorted({p.size for p in every}))
        what = style.label(names[0]) if len(names) == 1 else "mean over tasks"
        ax.set_ylabel(f"{what}{' (points)' if unit == 100 else ''}")
        ax.margins(y=0.12)
        ax.grid(linewidth=0.4, alpha=0.4)
        order = best_first([run.name for run in loaded], [[run.curve(name) for name in names] for run in loaded])
        title = f"bars: {100 * _LEVEL:.4g}% over documents" if any(p.interval for p in every) else None
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
        ax.legend(*ordered(ax, order), title=title, **place)
    return ax


def _draw_front(ax: Axes, front: Front, unit: float, *, to: float) -> None:
    x, y = [p.size for p, _ in front.steps], [p.score * unit for p, _ in front.steps]
    name = "front, each step shown" if front.tested else "front of estimates, untested"
    ax.step([*x, to], [*y, y[-1]], where="post", label=name, **style.FRONT)


def _draw_errors(ax: Axes, points: Sequence[Point], colour: str, unit: float) -> None:
    known = [(p, p.interval) for p in points if p.interval is not None]
    if not known:
        return
    ends = np.array([[p.score - i.low for p, i in known], [i.high - p.score for p, i in known]]) * unit
    x, y = [p.size for p, _ in known], [p.score * unit for p, _ in known]
    ax.errorbar(x, y, yerr=np.maximum(ends, 0), fmt="none", ecolor=colour, elinewidth=0.8, capsize=1.5)


def _name_steps(ax: Axes, front: Front, unit: float, *, several: bool) -> None:
    """Write rank, and method where it is another than that of the step before, above the bar of each step."""
    before: Sequence[str] = ()
    for point, runs in front.steps:
        top = point.score if point.interval is None else point.interval.high
        text = "\n".join([*map(style.label, runs if several and runs != before else ()), f"r={point.rank}"])
        before = runs
        first = point is front.steps[0][0]  # beside the y axis, which a centred name would cross
        ax.annotate(text, (point.size, top * unit), xytext=(-3 if first else 0, 3), textcoords="offset points",
                    ha="left" if first else "center", va="bottom", fontsize=6, linespacing=0.9)  # fmt: skip
