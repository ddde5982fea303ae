"""Interval plot: AURAC of every run on every task and on their mean, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aurac.analysis.compare import compare
from aurac.analysis.compared import ComparedRuns
from aurac.errors import ComparisonError
from aurac.report.plots import style
from aurac.report.plots.axes import Plottable, new_axes
from aurac.report.plots.looks import looks as looks_of
from aurac.report.tables.table_cells import heading, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_intervals(runs: ComparedRuns | Sequence[Plottable], *, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw AURAC with its interval, one group of rows a task, one row a run.

    Intervals of two runs that overlap are no evidence that the runs are equal: they share documents. The places of
    `aurac compare` say which runs can be told apart.

    Args:
        runs: A comparison, or the runs to compare.
        ax: Axes to draw into; by default new ones, one paper column wide and as high as the rows need.
        **options: As for `aurac.compare`, when `runs` are runs.

    Raises:
        ComparisonError: If the tasks have no common unit.
    """
    import matplotlib.pyplot as plt

    comparison = runs if isinstance(runs, ComparedRuns) else compare(runs, **options)  # type: ignore[arg-type]
    if len({unit(comparison, task) for task in comparison.columns}) > 1:
        raise ComparisonError(
            "the tasks have metrics of different units, which have no common axis. Choose with tasks=."
        )
    names, given = [run.name for run in comparison.ordered()], [run.name for run in comparison.runs]
    looks = dict(zip(given, looks_of(given), strict=True))  # as in the curves, whatever the order of the rows
    step = 0.8 / len(names)
    with plt.rc_context(style.RC):
        ax = new_axes(ax, height=0.6 + 0.16 * len(comparison.columns) * (len(names) + 1))
        for number, name in enumerate(names):
            for row, task in enumerate(comparison.columns):
                y = row + (number - (len(names) - 1) / 2) * step
                _point(ax, comparison, name, task, y, looks[name], labelled=row == 0)
        ax.set_yticks(range(len(comparison.columns)), [style.label(heading(comparison, t)) for t in comparison.columns])
        ax.set_ylim(len(comparison.columns) - 0.5, -0.5)
        for row in range(1, len(comparison.columns)):
            ax.axhline(row - 0.5, color="#000000", linewidth=0.3, alpha=0.4)
        ax.grid(axis="x", linewidth=0.4, alpha=0.4)
        level = f"{100 * comparison.settings.confidence_level:.4g}% interval"
        ax.set_xlabel(f"AURAC{' (points)' if unit(comparison, comparison.tasks[0]) == 100 else ''}, {level}")
        if len(names) > 1:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


def _point(
    ax: Axes, comparison: ComparedRuns, name: str, task: str, y: float, look: dict[str, Any], *, labelled: bool
) -> None:
    value, factor = comparison.results[name, task].value, unit(comparison, task)
    interval = comparison.results[name, task].interval
    if interval is not None:
        ax.plot([interval.low * factor, interval.high * factor], [y, y], color=look["color"], linewidth=1.0)
    text = style.label(name) if labelled else None
    ax.plot(
        [value * factor], [y], color=look["color"], marker=look["marker"], markersize=2.5, linestyle="none", label=text
    )
