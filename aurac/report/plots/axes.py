"""What the plots over ranks share: curves from whatever is given, labels, panels of tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from aurac.analysis.units import in_one_unit
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.report.plots import style
from aurac.report.plots.order import ordered
from aurac.results import Run, load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.14
"""Height of a row of a legend below panels."""
Plottable = Run | RankAccuracyCurve | str | PathLike[str]


def items_of(runs: Sequence[Plottable] | Plottable) -> list[Run | RankAccuracyCurve]:
    """Return one or several things to plot as a list, with paths loaded."""
    items = [runs] if isinstance(runs, (Run, RankAccuracyCurve, str, PathLike)) else list(runs)
    if not items:
        raise CurveError("there is nothing to plot. Give at least one run or curve.")
    loaded = [item if isinstance(item, (Run, RankAccuracyCurve)) else load(item) for item in items]
    runs_only = [item for item in loaded if isinstance(item, Run)]
    if len(runs_only) < len(loaded):  # a curve alone does not know its parameters
        return loaded
    return list(in_one_unit(runs_only))


def points_of(item: Run | RankAccuracyCurve) -> str:
    """Return what the points of a curve count, a name in `aurac.curve.curve.UNITS`."""
    curves = [item] if isinstance(item, RankAccuracyCurve) else list(item.curves.values())
    return curves[0].unit if curves else "rank"


def curve_of(item: Run | RankAccuracyCurve, task: str | None) -> RankAccuracyCurve:
    """Return the curve of a task, called by the name of its run."""
    if isinstance(item, RankAccuracyCurve):
        return item
    if task is None and len(item.tasks) != 1:
        raise CurveError(
            f"run {item.name!r} has {len(item.tasks)} tasks ({', '.join(item.tasks)}); say which with task=."
        )
    return item.curve(item.tasks[0] if task is None else task).named(item.name)


def new_axes(ax: Axes | None, *, height: float = 2.4, width: float = style.COLUMN_INCHES) -> Axes:
    """Return the axes given, or new ones, by default of a paper's column width; called inside `style.RC`."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def value_label(curves: Sequence[RankAccuracyCurve]) -> str:
    """Return metric, unit, and direction where lower is better."""
    metrics = {curve.metric or "accuracy" for curve in curves}
    text = style.label(" / ".join(sorted(metrics)))
    if curves[0].bounded:
        text += " (points)"
    return text if curves[0].higher_is_better else text + ", lower is better"


def unit_of(curve: RankAccuracyCurve) -> float:
    """Return the factor for printing: 100 for fractions, 1 for other metrics."""
    return 100.0 if curve.bounded else 1.0


def panels(tasks: Sequence[str], draw: Callable[[Axes, str], object], *, order: Sequence[str] = ()) -> Figure:
    """Draw one panel a task with one legend for the figure, runs in `order`; a single panel keeps its own legend."""
    import matplotlib.pyplot as plt

    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    size = (style.COLUMN_INCHES * (1 if columns == 1 else 0.72 * columns), 2.2 * rows + 0.3)
    with plt.rc_context(style.RC):
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        for ax, task in zip(axes.flat, tasks, strict=False):
            draw(ax, task)
            ax.set_title(style.label(task))
        for ax in list(axes.flat)[len(tasks) :]:
            ax.remove()
        if len(tasks) > 1:
            _one_legend(figure, list(axes.flat)[: len(tasks)], 2 * columns, order)
            # The label of an axis stands nearer to its own ticks than to the neighbour.
            figure.get_layout_engine().set(w_pad=0.12)  # type: ignore[union-attr,call-arg]
    return figure


def _one_legend(figure: Figure, axes: Sequence[Axes], columns: int, order: Sequence[str]) -> None:
    """Put one legend below the panels, in as many columns, at most, as the figure is wide enough for."""
    title = None
    for ax in axes:
        if (legend := ax.get_legend()) is not None:
            title = legend.get_title().get_text()
            legend.remove()
    handles, labels = ordered(axes[0], order)
    if len(labels) > 1 or title:
        asked = columns = min(len(labels), columns)
        while True:
            options = {"ncols": columns, "frameon": False, "title": title}
            legend = figure.legend(handles, labels, loc="outside lower center", **options)
            if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
                break
            legend.remove()
            columns -= 1
        more = -(-len(labels) // columns) - -(-len(labels) // asked)  # rows: the panels keep their height
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + _ROW_INCHES * more)
