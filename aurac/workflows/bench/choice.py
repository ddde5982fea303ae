"""The choice of a setting: the best macro AURAC of the grid over the seeds that decide, the same for every method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
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
        scorings: The grid; settings without a complete record for every seed that decides are listed as missing. The
            first one wins a tie.

    Returns:
        {"criterion", "seed", "suite", "curves": {curve: {"chosen", "candidates": {setting: {"macro", "tasks"}}}}};
        with several seeds "seeds" for "seed", means over them, and each candidate's "macro_by_seed".
    """
    seeds = list(dict.fromkeys(scoring.seed for scoring in scorings))
    found: dict[tuple[str, str], list[Scoring]] = {}
    for scoring in scorings:
        found.setdefault((scoring.curve, scoring.setting), []).append(scoring)
    curves: dict[str, dict[str, Any]] = {}
    for (name, setting), several in found.items():
        curve = curves.setdefault(name, {"chosen": None, "candidates": {}})
        curve["candidates"][setting] = _numbers(several) if all(scoring.is_done() for scoring in several) else None
    for curve in curves.values():
        known = {name: numbers["macro"] for name, numbers in curve["candidates"].items() if numbers is not None}
        curve["chosen"] = max(known, key=known.__getitem__) if known else None
    return {
        "criterion": "largest mean over the tasks of AURAC (log2 axis, trapezoid)",
        **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}),
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


def _numbers(scorings: Sequence[Scoring]) -> dict[str, Any]:
    runs = {str(scoring.seed): load(scoring.out) for scoring in scorings}
    macros = {seed: macro(run) for seed, run in runs.items()}
    tasks = {task: fmean(run.curves[task].area() for run in runs.values()) for task in next(iter(runs.values())).curves}
    by_seed = {"macro_by_seed": macros} if len(runs) > 1 else {}
    return {"macro": fmean(macros.values()), "tasks": tasks, **by_seed}
