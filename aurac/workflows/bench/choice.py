"""The choice of a setting: the best macro AURAC of the grid with the first seed, the same for every method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aurac.errors import RecipeError
from aurac.results import Run, load
from aurac.workflows.bench.plan import Scoring
from aurac.writing import write_text

FILE = "choice.json"


def macro(run: Run) -> float:
    """Return the mean over the tasks of the area under the curve (log2 axis, trapezoid), fraction in [0, 1].

    Raises:
        RecipeError: If a task's metric is no fraction, or lower is better: such areas have no mean.
    """
    for task, curve in run.curves.items():
        if not (curve.bounded and curve.higher_is_better):
            raise RecipeError(
                f"task {task} is measured by {curve.metric}, and the choice of a setting needs the mean of accuracies. "
                "Put such tasks into a suite that is not the first one."
            )
    return sum(curve.area() for curve in run.curves.values()) / len(run.curves)


def choose(scorings: Sequence[Scoring]) -> dict[str, Any]:
    """Return what was chosen, with all numbers that it was chosen from.

    Args:
        scorings: The grid; those without a complete record are listed as missing. The first one wins a tie.

    Returns:
        {"criterion", "seed", "suite", "curves": {curve: {"chosen", "candidates": {setting: {"macro", "tasks"}}}}}.
    """
    curves: dict[str, dict[str, Any]] = {}
    for scoring in scorings:
        curve = curves.setdefault(scoring.curve, {"chosen": None, "candidates": {}})
        run = load(scoring.out) if scoring.is_done() else None
        curve["candidates"][scoring.setting] = None if run is None else _numbers(run)
    for curve in curves.values():
        known = {name: numbers["macro"] for name, numbers in curve["candidates"].items() if numbers is not None}
        curve["chosen"] = max(known, key=known.__getitem__) if known else None
    return {
        "criterion": "largest mean over the tasks of AURAC (log2 axis, trapezoid)",
        "seed": scorings[0].seed,
        "suite": scorings[0].suite,
        "curves": curves,
    }


def write_choice(root: Path, choice: dict[str, Any]) -> None:
    """Write `choice.json`."""
    root.mkdir(parents=True, exist_ok=True)
    text = json.dumps(choice, indent=2, allow_nan=False) + "\n"
    write_text(root / FILE, text)


def chosen_settings(choice: dict[str, Any]) -> dict[str, str]:
    """Return curve -> setting, without the curves of which nothing could be scored."""
    return {name: curve["chosen"] for name, curve in choice["curves"].items() if curve["chosen"] is not None}


def _numbers(run: Run) -> dict[str, Any]:
    return {"macro": macro(run), "tasks": {task: curve.area() for task, curve in run.curves.items()}}
