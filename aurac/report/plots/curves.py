"""Rank-accuracy curves as a picture, with bands that hold the whole curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.analysis.compared import ComparedRuns
from aurac.curve.curve import RankAccuracyCurve
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
from aurac.report.plots.elsewhere import elsewhere
from aurac.report.plots.looks import looks as looks_of
from aurac.report.plots.order import best_first, ordered
from aurac.report.plots.rank_axis import RankAxis, rank_axis
from aurac.results import Run
from aurac.statistics.bands import curve_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILLED = 3
"""Up to so many curves have filled bands; more would cover each other and get bars, set apart."""


def plot_curves(
    runs: Sequence[Plottable] | Plottable,
    *,
    task: str | None = None,
    axis: str = "log2",
    confidence_level: float = 0.95,
    base: float | None = None,
    reference: Plottable | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one rank-accuracy curve a run, with simultaneous bands where documents are known.

    A band holds the whole curve, between the ranks too, with the stated confidence (max-t,
    `aurac.statistics.bands.curve_band`). Up to three curves have filled bands, more have bars of the same meaning.
    Bands of two curves that overlap are no evidence that they are equal: they share documents, see `plot_difference`.
    A method of several training seeds is its mean, with a thin line for each seed; its band is over documents alone.

    Args:
        runs: Runs, paths of runs, or curves; one or several.
        task: Which task of the runs; by default all that every run has, a panel each.
        axis: What the curves are drawn over, a name in `aurac.quadrature.AXES` or a cost in
            `aurac.analysis.costs.COSTS`, for runs.
        confidence_level: Of each band.
        base: Score of the base model without an adapter, a fraction for accuracies; a horizontal line. By default that
            of the curves, where they know it and it is one.
        reference: Adapters retrained for every rank (the grid search that a nested adapter replaces); open points.
        ax: Axes to draw into; by default new ones, one paper column wide.

    Returns:
        The axes; of several panels the first, and its `.figure` is all of them. Accuracies are shown in points, other
        metrics as they are.

    Raises:
        CurveError: If runs have several tasks and none was chosen for `ax` or `base`, or have no task in common.

    Example:
        >>> ax = plot_curves(RankAccuracyCurve([1, 2, 4], [0.25, 0.5, 0.75]))
        >>> ax.lines[0].get_ydata().tolist()
        [25.0, 50.0, 75.0]
    """
    import matplotlib.pyplot as plt

    items = items_of(runs)
    if task is None and ax is None and base is None and len(tasks := _shared_tasks(items)) > 1:
        options: dict[str, Any] = {"axis": axis, "confidence_level": confidence_level, "reference": reference}
        return figure_curves(items, tasks=tasks, **options).axes[0]
    curves, along = [curve_of(item, task) for item in items], rank_axis(items, axis)
    with plt.rc_context(style.RC):
        ax = new_axes(ax)
        names = [curve.name or curve.task or f"curve {number + 1}" for number, curve in enumerate(curves)]
        looks = looks_of(names)
        banded = [
            _draw(ax, curve, look | {"label": style.label(name)}, (number, len(curves)), along, confidence_level)
            for number, (name, curve, look) in enumerate(zip(names, curves, looks, strict=True))
        ]
        unit = unit_of(curves[0])
        ranks = {rank for curve in curves for rank in curve.ranks}
        if reference is not None:
            points = curve_of(items_of(reference)[0], task)
            ranks |= set(points.ranks)
            x = rank_axis(items_of(reference), axis).x(0, points.ranks)
            ax.plot(x, points.accuracies * unit, label="retrained per rank", **style.REFERENCE)
        if (base := common_base(curves) if base is None else base) is not None:
            ax.axhline(base * unit, label="base model", **style.BASE)
        along.dress(ax, sorted(ranks))
        ax.set_ylabel(value_label(curves))
        if len(ax.get_legend_handles_labels()[1]) > 1 or any(banded):
            order = best_first(names, [[curve] for curve in curves], axis)
            ax.legend(*ordered(ax, order), title=_title(confidence_level, curves) if any(banded) else None)
    return ax


def _shared_tasks(items: Sequence[Run | RankAccuracyCurve]) -> list[str]:
    """Return the tasks that all runs have, in the order of the first one; none where a curve is among them."""
    if not all(isinstance(item, Run) for item in items):
        return []
    runs = [item for item in items if isinstance(item, Run)]
    return [task for task in runs[0].tasks if all(task in run.tasks for run in runs)]


def common_base(curves: Sequence[RankAccuracyCurve]) -> float | None:
    """Return the score of the base model where all curves that know one agree, else None."""
    known = {round(curve.base, 9) for curve in curves if curve.base is not None}
    return known.pop() if len(known) == 1 else None


def _title(confidence_level: float, curves: Sequence[RankAccuracyCurve]) -> str:
    drawn = "bands" if len(curves) <= FILLED else "bars"
    title = f"{100 * confidence_level:.4g}% simultaneous {drawn}"
    parts = sorted({str(curve.part) for curve in curves if curve.part is not None})
    if parts:
        said = parts[0] if len(parts) == 1 else "a part of the documents"
        title = f"{title} over documents like these;\n{said} asked"
    return f"{title} over documents; thin: seeds" if any(curve.seeds for curve in curves) and not parts else title


def figure_curves(
    runs: Sequence[Plottable],
    *,
    tasks: Sequence[str],
    axis: str = "log2",
    confidence_level: float = 0.95,
    bases: Mapping[str, float] | None = None,
    reference: Plottable | None = None,
    comparison: ComparedRuns | None = None,
) -> Figure:
    """Draw one panel a task, all runs in each, one legend for the figure; arguments as for `plot_curves`.

    Where the places of `comparison` are others on the other axis of ranks, a line under the panel says so.
    """
    loaded = items_of(runs)
    other = None if reference is None else items_of(reference)[0]

    def draw(ax: Axes, task: str) -> None:
        options: dict[str, Any] = {"axis": axis, "confidence_level": confidence_level, "reference": other}
        plot_curves(loaded, task=task, base=(bases or {}).get(task), ax=ax, **options)
        if comparison is not None and task in comparison.columns and elsewhere(comparison, task):
            ax.set_xlabel(f"{ax.get_xlabel()}\nother places on the {comparison.other_axis} axis")

    named = [(item.name or "", [curve_of(item, task) for task in tasks]) for item in loaded]
    return panels(tasks, draw, order=best_first([name for name, _ in named], [each for _, each in named], axis))


def save_curves(
    runs: Sequence[Plottable],
    *paths: Path,
    tasks: Sequence[str],
    axis: str = "log2",
    comparison: ComparedRuns | None = None,
) -> None:
    """Draw `figure_curves` once and write it under every path (.png, .pdf, .svg)."""
    style.write(lambda: figure_curves(runs, tasks=tasks, axis=axis, comparison=comparison), *paths)


def _draw(
    ax: Axes,
    curve: RankAccuracyCurve,
    look: dict[str, Any],
    place: tuple[int, int],
    along: RankAxis,
    confidence_level: float,
) -> bool:
    """Draw one curve, the `place[0]`th of `place[1]`; returns whether it has a band."""
    filled, unit = place[1] <= FILLED, unit_of(curve)
    x = along.x(place[0], curve.ranks, apart=None if filled else place)
    if curve.seeds is not None:
        for seed in range(len(curve.seeds.labels)):
            ax.plot(x, curve.seeds.values[:, seed].mean(axis=0) * unit, color=look["color"], **style.SEED)
    ax.plot(x, curve.accuracies * unit, **look)
    if curve.scores is None or len(curve.scores) < 2:
        return False
    band = curve_band(curve, confidence_level=confidence_level)
    if filled and len(curve.ranks) > 1:
        ax.fill_between(x, band.low * unit, band.high * unit, color=look["color"], alpha=0.18, linewidth=0)
    else:
        style.error_bars(ax, x, band, look, unit)
    return True
