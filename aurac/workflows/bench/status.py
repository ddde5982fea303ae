"""What a benchmark's folder says of itself, without the recipe's file and while others work in it."""

from __future__ import annotations

from pathlib import Path

from aurac.errors import RecordError
from aurac.workflows.bench.activity import activity_lines
from aurac.workflows.bench.counting import hours, measured, plan_lines
from aurac.workflows.bench.plan import studies
from aurac.workflows.bench.recipe import read_recipe
from aurac.workflows.bench.running import RECIPE_COPY


def status_lines(out: Path, *, gpus: float | None = None) -> list[str]:
    """Return what is done and left, what it took so far, and what runs, failed or was stopped.

    Args:
        out: The folder that was given to `aurac bench`.
        gpus: GPUs of each job, for GPU-hours; None for 1 where what was measured ran on one.

    Raises:
        RecordError: If the folder holds no benchmark, or none that says of which recipe.
    """
    if not (out / RECIPE_COPY).is_file():
        raise RecordError(
            f"{out} has no {RECIPE_COPY}, which aurac bench writes when it begins. Give the folder of its --out, or "
            f"the recipe: aurac bench RECIPE --out {out} --dry-run."
        )
    recipe = read_recipe(out / RECIPE_COPY)
    found = studies(recipe, out)
    known = measured(recipe, found)
    counts = f"{len(known.trained)} trainings, {len(known.scored)} scorings"
    spent = f"done so far: {counts}, {hours(sum(known.trained) + sum(known.scored))} one at a time"
    nothing_left = [] if known.to_train or known.to_score else ["everything is done"]
    return [*plan_lines(recipe, found, gpus=gpus), spent, *nothing_left, *activity_lines(recipe, found, out)]
