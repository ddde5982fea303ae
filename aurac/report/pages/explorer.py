"""The curves of a comparison as a picture to explore: the data that `assets/explorer.js` draws in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.analysis.adapter_size import full_rank, size
from aurac.analysis.compared import ComparedRuns
from aurac.curve.curve import RankAccuracyCurve
from aurac.report.plots.axes import curve_of, unit_of, value_label
from aurac.report.plots.curves import common_base
from aurac.report.plots.looks import COLOURS
from aurac.report.plots.looks import looks as looks_of
from aurac.report.table import printable
from aurac.results import Run
from aurac.statistics.bands import curve_band

AXES = (
    {"name": "log2", "label": "rank (every doubling counts the same)", "unit": "rank", "log": True},
    {"name": "linear", "label": "rank", "unit": "rank", "log": False},
    {"name": "parameters", "label": "adapter parameters at that rank", "unit": "parameters", "log": True},
)
"""What the curves may be drawn over; parameters only where the sizes of adapters are known."""


def explorer_data(comparison: ComparedRuns) -> dict[str, Any]:
    """Return axes, tasks and curves of a comparison, in the unit that is shown (points for accuracies).

    Intervals are the simultaneous bands of `aurac.plot_curves`; None where they are unknown.
    """
    sizes = {run.name: _parameters(run) for run in comparison.runs}
    measured = [run for run in comparison.ordered() if sizes[run.name] is not None]
    axes = [dict(axis) for axis in AXES if axis["unit"] == "rank" or measured]
    first = comparison.settings.axis
    return {
        "level": f"{100 * comparison.settings.confidence_level:.4g} %",
        "axes": sorted(axes, key=lambda axis: axis["name"] != first),
        "tasks": [_task(comparison, task) for task in comparison.tasks],
        "curves": _curves(comparison, sizes),
    }


def _task(comparison: ComparedRuns, task: str) -> dict[str, Any]:
    curves = [curve_of(run, task) for run in comparison.runs]
    base = common_base(curves)
    return {
        "name": task,
        "label": printable(task),
        "value": printable(value_label(curves[:1])),
        "base": None if base is None else _number(base * unit_of(curves[0])),
    }


def _curves(comparison: ComparedRuns, sizes: dict[str, int | None]) -> list[dict[str, Any]]:
    runs = comparison.ordered()
    looks = looks_of([run.name for run in runs])
    return [
        {
            "name": printable(run.name),
            "look": _nearest(look["color"]),
            "dash": _dash(look["linestyle"]),
            "tasks": {task: _points(run, task, sizes[run.name], comparison) for task in comparison.tasks},
        }
        for run, look in zip(runs, looks, strict=True)
    ]


def _points(run: Run, task: str, parameters: int | None, comparison: ComparedRuns) -> dict[str, Any]:
    curve = curve_of(run, task)
    unit = unit_of(curve)
    low, high = _band(curve, comparison.settings.confidence_level)
    points = [
        {
            "rank": rank,
            "value": _number(value * unit),
            "low": _number(low[k] * unit),
            "high": _number(high[k] * unit),
            "places": {"parameters": parameters and parameters * rank // full_rank(run)},
        }
        for k, (rank, value) in enumerate(zip(curve.ranks, curve.accuracies, strict=True))
    ]
    return {"documents": curve.n_documents, "points": points}


def _band(curve: RankAccuracyCurve, confidence_level: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if curve.scores is None or len(curve.scores) < 2:
        unknown = np.full(len(curve.ranks), np.nan)
        return unknown, unknown
    band = curve_band(curve, confidence_level=confidence_level)
    return band.low, band.high


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _parameters(run: Run) -> int | None:
    found = size(run)
    return None if found is None else found.parameters


def _nearest(colour: str) -> int:
    """Return the place of the nearest of our colours: a page has two palettes of them, for light and dark."""
    from matplotlib.colors import to_rgb

    distances = [np.square(np.subtract(to_rgb(ours), to_rgb(colour))).sum() for ours in COLOURS]
    return int(np.argmin(distances))


def _dash(linestyle: Any) -> str:
    """Return matplotlib's dashes as SVG's `stroke-dasharray`, for lines two units wide."""
    return "" if linestyle == "-" else " ".join(f"{2 * length:g}" for length in linestyle[1])
