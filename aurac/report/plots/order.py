"""The order of a legend: the best run first, as in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aurac.curve.curve import RankAccuracyCurve
from aurac.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def best_first(names: Sequence[str], curves: Sequence[Sequence[RankAccuracyCurve]], axis: str = "log2") -> list[str]:
    """Return the names by AURAC, the best first; as given where the tasks have no mean.

    Args:
        names: Of the lines.
        curves: For each line, its curve on every task.
        axis: Of AURAC; "log2" for axes of costs.
    """
    every = [curve for each in curves for curve in each]
    if len({(curve.bounded, curve.higher_is_better) for curve in every}) > 1:
        return list(names)
    on = axis if axis == "linear" else "log2"
    # A single rank has no area.
    means = [sum(c.area(axis=on) if len(c.ranks) > 1 else c.accuracies[0] for c in each) / len(each) for each in curves]
    sign = -1 if every[0].higher_is_better else 1
    return [names[line] for line in sorted(range(len(names)), key=lambda line: sign * means[line])]


def ordered(ax: Axes, names: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return handles and labels for a legend: runs in the order of `names`, then what else is drawn."""
    handles, labels = ax.get_legend_handles_labels()
    places = {style.label(name): place for place, name in reversed(list(enumerate(names)))}
    lines = sorted(range(len(labels)), key=lambda line: places.get(labels[line], len(places)))
    return [handles[line] for line in lines], [labels[line] for line in lines]
