"""Difference curves: each run minus a baseline at every rank, paired over documents, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aurac.analysis.cost_axes import axis_of
from aurac.errors import ComparisonError, UnknownNameError
from aurac.quadrature import axis_named
from aurac.report.plots import style
from aurac.report.plots.axes import (
    Plottable,
    curve_of,
    items_of,
    new_axes,
    panels,
    unit_of,
    value_label,
)
from aurac.report.plots.curves import FILLED
from aurac.report.plots.looks import looks as looks_of
from aurac.report.plots.order import best_first, ordered
from aurac.report.plots.rank_axis import RankAxis
from aurac.statistics.bands import difference_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_difference(
    runs: Sequence[Plottable],
    *,
    baseline: str | None = None,
    task: str | None = None,
    axis: str = "log2",
    confidence_level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw each run minus the baseline at every rank, with simultaneous bands over the documents that both have.

    Where a band does not touch 0 the curves differ at that rank; above 0 at one rank and below it at another is a
    crossing. Each band holds by itself: several runs are not one family here. Methods of several training seeds are
    their means, and the bands are over documents alone.

    Args:
        runs: Runs, paths of runs, or curves with names; at least two.
        baseline: Name of the run to subtract; by default the first.
        task: Which task of the runs; needed when they have more than one.
        axis: As for `plot_curves`; a cost has to be the same for all runs.
        confidence_level: Of each band.
        ax: Axes to draw into; by default new ones, one paper column wide.

    Raises:
        ComparisonError: If there is nothing to subtract, or documents cannot be joined.
        UnknownNameError: If no run is called `baseline`.
    """
    import matplotlib.pyplot as plt

    items = items_of(runs)
    curves = [curve_of(item, task) for item in items]
    if len(curves) < 2:
        raise ComparisonError("a difference needs two runs. Give the baseline and at least one other.")
    names = [curve.name or f"curve {number + 1}" for number, curve in enumerate(curves)]
    if baseline is not None and baseline not in names:
        raise UnknownNameError("baseline", baseline, names)
    zero = 0 if baseline is None else names.index(baseline)
    unit, total = unit_of(curves[0]), len(curves) - 1
    along = RankAxis((axis_named(axis_of(axis, items)),) * len(items))
    with plt.rc_context(style.RC):
        ax = new_axes(ax)
        ax.axhline(0, color="#000000", linewidth=0.8)
        number, looks = 0, looks_of(names)
        for index, (name, curve) in enumerate(zip(names, curves, strict=True)):
            if index == zero:
                continue
            band = difference_band(curve, curves[zero], confidence_level=confidence_level, missing="drop")
            look, filled = looks[index], total <= FILLED
            x = along.x(index, band.ranks, apart=None if filled else (number, total))
            ax.plot(x, band.estimate * unit, label=style.label(name), **look)
            if filled and len(band.ranks) > 1:
                ax.fill_between(x, band.low * unit, band.high * unit, color=look["color"], alpha=0.18, linewidth=0)
            else:
                style.error_bars(ax, x, band, look, unit)
            number += 1
        along.dress(ax, sorted({rank for curve in curves for rank in curve.ranks}))
        ax.set_ylabel(f"Δ {value_label(curves)}")
        over = " over documents" if any(curve.seeds for curve in curves) else ""
        drawn = f"{100 * confidence_level:.4g}% simultaneous {'bands' if total <= FILLED else 'bars'}{over}"
        order = best_first(names, [[curve] for curve in curves], axis)
        ax.legend(*ordered(ax, order), title=f"minus {style.label(names[zero])}, {drawn}")
    return ax


def figure_difference(
    runs: Sequence[Plottable],
    *,
    tasks: Sequence[str],
    baseline: str | None = None,
    axis: str = "log2",
    confidence_level: float = 0.95,
) -> Figure:
    """Draw one panel a task; arguments as for `plot_difference`."""
    loaded = items_of(runs)
    return panels(
        tasks,
        lambda ax, task: plot_difference(
            loaded, baseline=baseline, task=task, axis=axis, confidence_level=confidence_level, ax=ax
        ),
        order=best_first(
            [item.name or "" for item in loaded], [[curve_of(item, t) for t in tasks] for item in loaded], axis
        ),
    )
