"""The curves of a comparison as a picture to explore: the data that `assets/explorer.js` draws in a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.analysis.cost_axes import costs_of
from aurac.analysis.costs import COSTS
from aurac.analysis.macro_curve import with_macro
from aurac.analysis.rank_costs import Cost, check_conditions
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, RecordError
from aurac.report.plots.axes import curve_of, unit_of, value_label
from aurac.report.plots.curves import common_base
from aurac.report.plots.looks import COLOURS
from aurac.report.plots.looks import looks as looks_of
from aurac.report.table import printable, unbroken
from aurac.report.tables.table_cells import point_noun
from aurac.results import Run
from aurac.statistics.bands import curve_band

POINTS = {"rank": "rank", "budget": "adapter parameters"}
"""What a point of a curve is called -> the label of the axis that has these points."""
Costs = dict[str, dict[str, Mapping[int, float]]]
"""Name of a cost -> run -> rank -> cost."""


def explorer_data(comparison: ComparedRuns) -> dict[str, Any]:
    """Return axes, tasks and curves of a comparison, in the unit that is shown (points for accuracies).

    The mean over tasks, where there is one, is the first task. Intervals are the simultaneous bands of
    `aurac.plot_curves`; None where they are unknown.
    """
    costs = _known_costs(comparison.runs)
    drawn, tasks = with_macro(comparison)
    runs = {run.name: run for run in drawn}
    noun = point_noun(comparison)
    axes = [*_point_axes(noun), *(_cost_axis(name) for name in costs)]
    first = comparison.settings.axis
    return {
        "level": unbroken(f"{100 * comparison.settings.confidence_level:.4g} %"),
        "point": noun,
        "axes": sorted(axes, key=lambda axis: axis["name"] != first),
        "tasks": [_task(drawn, task, len(comparison.tasks)) for task in tasks],
        "curves": _curves([runs[run.name] for run in comparison.ordered()], tasks, costs, comparison),
    }


def _point_axes(noun: str) -> list[dict[str, Any]]:
    """Return what the curves may always be drawn over; costs of the ranks are added where the records know them."""
    label = POINTS[noun]
    return [
        {"name": "log2", "label": f"{label} (every doubling counts the same)", "unit": noun, "log": True},
        {"name": "linear", "label": label, "unit": noun, "log": False},
    ]


def _cost_axis(name: str) -> dict[str, Any]:
    cost: Cost = COSTS[name]
    return {"name": name, "label": printable(cost.label), "unit": "cost", "log": not cost.measured}


def _known_costs(runs: Sequence[Run]) -> Costs:
    """Return what is known of costs; times only where all that are known were measured under the same conditions."""
    found: Costs = {}
    for name in COSTS.usable():
        known = {}
        for run in runs:
            with suppress(RecordError):
                known[run.name] = costs_of(name, run)
        with suppress(CurveError):
            if COSTS[name].measured:
                check_conditions([run for run in runs if run.name in known])
            if known:
                found[name] = {**known}
    return found


def _task(runs: Sequence[Run], task: str, n_tasks: int) -> dict[str, Any]:
    curves = [curve_of(run, task) for run in runs]
    base = common_base(curves)
    return {
        "name": task,
        "label": f"{MACRO} (mean over {n_tasks} tasks)" if task == MACRO else printable(task),
        "tasks": n_tasks if task == MACRO else 1,
        "value": printable(value_label(curves[:1])),
        "base": None if base is None else _number(base * unit_of(curves[0])),
    }


def _curves(runs: Sequence[Run], tasks: Sequence[str], costs: Costs, comparison: ComparedRuns) -> list[dict[str, Any]]:
    names = [run.name for run in comparison.runs]
    looks = dict(zip(names, looks_of(names), strict=True))  # as in the still picture, whatever the order here
    return [
        {
            "name": printable(run.name),
            "look": _nearest(looks[run.name]["color"]),
            "dash": _dash(looks[run.name]["linestyle"]),
            "marker": _marker(looks[run.name]["marker"]),
            "tasks": {task: _points(run, task, costs, comparison) for task in tasks},
        }
        for run in runs
    ]


def _points(run: Run, task: str, costs: Costs, comparison: ComparedRuns) -> dict[str, Any]:
    curve = curve_of(run, task)
    unit = unit_of(curve)
    low, high = _band(curve, comparison.settings.confidence_level)
    points = [
        {
            "rank": rank,
            "value": _number(value * unit),
            "low": _number(low[k] * unit),
            "high": _number(high[k] * unit),
            "places": {name: known.get(run.name, {}).get(rank) for name, known in costs.items()},
        }
        for k, (rank, value) in enumerate(zip(curve.ranks, curve.accuracies, strict=True))
    ]
    asked = curve.n_documents if curve.part is None else curve.part.n_asked
    return {"documents": asked, "points": points}


def _band(curve: RankAccuracyCurve, confidence_level: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if curve.scores is None or len(curve.scores) < 2:
        unknown = np.full(len(curve.ranks), np.nan)
        return unknown, unknown
    band = curve_band(curve, confidence_level=confidence_level)
    return band.low, band.high


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _nearest(colour: str) -> int:
    """Return the place of the nearest of our colours: a page has two palettes of them, for light and dark."""
    from matplotlib.colors import to_rgb

    distances = [np.square(np.subtract(to_rgb(ours), to_rgb(colour))).sum() for ours in COLOURS]
    return int(np.argmin(distances))


def _marker(marker: Any) -> str:
    """Return matplotlib's name of a marker; a circle for those without a name."""
    return marker if isinstance(marker, str) else "o"


def _dash(linestyle: Any) -> str:
    """Return matplotlib's dashes as SVG's `stroke-dasharray`, for lines two units wide."""
    return "" if linestyle == "-" else " ".join(f"{2 * length:g}" for length in linestyle[1])
