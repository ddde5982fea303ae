"""Rank-accuracy curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.report import style
from aurac.results import Run, load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Plottable = Run | RankAccuracyCurve | str | PathLike[str]


def plot_curves(
    runs: Sequence[Plottable] | Plottable,
    *,
    task: str | None = None,
    axis: str = "log2",
    confidence_level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw one rank-accuracy curve a run, with pointwise confidence intervals where documents are known.

    Args:
        runs: Runs, paths of runs, or curves; one or several.
        task: Which task of the runs; needed when they have more than one.
        axis: Spacing of the ranks, "linear" or "log2".
        confidence_level: Of the pointwise intervals (t over documents), each rank by itself.
        ax: Axes to draw into; by default new ones, one paper column wide.

    Returns:
        The axes. Accuracies are shown in points, other metrics as they are.

    Example:
        >>> ax = plot_curves(RankAccuracyCurve([1, 2, 4], [0.25, 0.5, 0.75]))
        >>> ax.lines[0].get_ydata().tolist()
        [25.0, 50.0, 75.0]
    """
    import matplotlib.pyplot as plt

    items = [runs] if isinstance(runs, (Run, RankAccuracyCurve, str, PathLike)) else list(runs)
    curves = [_curve(item, task) for item in items]
    with plt.rc_context(style.RC):
        if ax is None:
            _, ax = plt.subplots(figsize=(style.COLUMN_INCHES, 2.4), layout="constrained")
        for number, curve in enumerate(curves):
            _draw(ax, curve, number, len(curves), axis, confidence_level)
        _dress(ax, curves, axis)
    return ax


def figure_curves(
    runs: Sequence[Plottable], *, tasks: Sequence[str], axis: str = "log2", confidence_level: float = 0.95
) -> Figure:
    """Draw one panel a task, all runs in each, one legend for the figure."""
    import matplotlib.pyplot as plt

    loaded = [run if isinstance(run, (Run, RankAccuracyCurve)) else load(run) for run in runs]
    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    size = (style.COLUMN_INCHES * (1 if columns == 1 else 0.72 * columns), 2.2 * rows + 0.3)
    with plt.rc_context(style.RC):
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        for ax, task in zip(axes.flat, tasks, strict=False):
            plot_curves(loaded, task=task, axis=axis, confidence_level=confidence_level, ax=ax)
            ax.set_title(style.label(task))
            if len(loaded) > 1:
                ax.get_legend().remove()
        for ax in list(axes.flat)[len(tasks) :]:
            ax.remove()
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(
                handles, labels, loc="outside lower center", ncols=min(len(labels), 2 * columns), frameon=False
            )
    return figure


def save_curves(runs: Sequence[Plottable], *paths: Path, tasks: Sequence[str], axis: str = "log2") -> None:
    """Draw `figure_curves` once and write it under every path (.png, .pdf, .svg)."""
    import matplotlib as mpl

    for path in paths:
        style.check_suffix(path)
    with mpl.rc_context({"backend": "agg"}):
        figure = figure_curves(runs, tasks=tasks, axis=axis)
        for path in paths:
            style.save(figure, path)
        figure.clear()


def _curve(item: Plottable, task: str | None) -> RankAccuracyCurve:
    if isinstance(item, RankAccuracyCurve):
        return item
    run = item if isinstance(item, Run) else load(item)
    if task is None and len(run.tasks) > 1:
        raise CurveError(f"run {run.name!r} has {len(run.tasks)} tasks ({', '.join(run.tasks)}); say which with task=.")
    return run.curve(run.tasks[0] if task is None else task).named(run.name)


def _draw(ax: Axes, curve: RankAccuracyCurve, number: int, total: int, axis: str, confidence_level: float) -> None:
    unit = 100.0 if curve.bounded else 1.0
    ranks = np.asarray(curve.ranks, dtype=float)
    # Curves are set a little apart so that their error bars can be told from one another.
    shift = (number - (total - 1) / 2) * 0.05
    x = ranks * 2.0**shift if axis == "log2" else ranks + shift * ranks.max() / 10
    text = style.label(curve.name or curve.task or f"curve {number + 1}")
    look = style.line_style(number)
    ax.plot(x, curve.accuracies * unit, label=text, **look)
    if (half := _half_widths(curve, confidence_level)) is not None:
        ax.errorbar(
            x, curve.accuracies * unit, yerr=half * unit, fmt="none", ecolor=look["color"], elinewidth=0.8, capsize=1.5
        )


def _half_widths(curve: RankAccuracyCurve, confidence_level: float) -> Any:
    """Half widths of pointwise t intervals, shape (K,), None where documents are unknown."""
    from scipy.stats import t

    if curve.scores is None or len(curve.scores) < 2:
        return None
    n = len(curve.scores)
    return t.ppf((1 + confidence_level) / 2, n - 1) * curve.scores.std(axis=0, ddof=1) / np.sqrt(n)


def _dress(ax: Axes, curves: Sequence[RankAccuracyCurve], axis: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ranks = sorted({rank for curve in curves for rank in curve.ranks})
    if axis == "log2":
        ax.set_xscale("log", base=2)
    shown = ranks if axis == "log2" or len(ranks) <= 6 else [r for r in ranks if r >= ranks[-1] / 16] or ranks
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_major_formatter(FixedFormatter([str(rank) for rank in shown]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("rank")
    ax.set_ylabel(_value_label(curves))
    ax.grid(axis="y", linewidth=0.4, alpha=0.4)
    if len(curves) > 1:
        ax.legend(frameon=False)


def _value_label(curves: Sequence[RankAccuracyCurve]) -> str:
    """Metric, unit, and direction where lower is better."""
    metrics = {curve.metric or "accuracy" for curve in curves}
    text = style.label(" / ".join(sorted(metrics)))
    if curves[0].bounded:
        text += " (points)"
    return text if curves[0].higher_is_better else text + ", lower is better"
