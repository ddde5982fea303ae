"""Do what a recipe says, study by study, into a folder that belongs to this recipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aurac.errors import RecordError
from aurac.workflows.bench import outcome, plan
from aurac.workflows.bench.choice import choose, chosen_settings, write_choice
from aurac.workflows.bench.counting import hours_line
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.outcome import Outcome
from aurac.workflows.bench.recipe import Recipe
from aurac.workflows.bench.work import processes, work_off
from aurac.writing import write_text

RECIPE_FILE = "recipe.json"
"""What of the recipe a folder was made with, and may not change."""


def run_recipe(
    recipe: Recipe, out: Path, *, jobs: int = 1, copies: Mapping[str, str] | None = None
) -> Iterator[tuple[Outcome | None, dict[str, str]]]:
    """Train, score and choose; what is done is left as it is, what failed is done again.

    Args:
        recipe: From `read_recipe`.
        out: Folder of adapters and records.
        jobs: Trainings or scorings at a time, each a process.
        copies: Base model, as the recipe calls it -> folder of a copy that is used instead.

    Yields:
        For each study its table, None where nothing could be scored, and label -> error of what failed.

    Raises:
        RecordError: If the folder holds something else, or the results of another recipe.
    """
    check_folder(out, recipe)
    _write_recipe(out, recipe)
    with processes(jobs) as pool:
        studies = plan.studies(recipe, out, copies)
        for study in studies:
            grid = plan.grid(recipe, study)
            failed = work_off(grid, pool, tell=lambda: _tell(recipe, studies))
            choice = choose(grid)
            write_choice(study.root, choice)
            final = plan.chosen(recipe, study, chosen_settings(choice))
            failed |= work_off(final, pool)
            outcome.publish(study.root, final)
            found = outcome.rows(final)
            yield (Outcome(found, study.title, choice, study.data.selection) if found else None), failed


def _tell(recipe: Recipe, studies: Sequence[Study]) -> None:
    if line := hours_line(recipe, studies):
        print(line, file=sys.stderr, flush=True)


def check_folder(out: Path, recipe: Recipe) -> None:
    """Raise `RecordError` if the folder holds the results of a recipe that differs in more than what may be added."""
    file = out / RECIPE_FILE
    if not file.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RecordError(f"{out} holds something that is no benchmark. Give a new or an empty folder.")
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise RecordError(f"{file} is damaged: {exc}. Give a new folder.") from exc
    now = json.loads(json.dumps(recipe.fixed()))
    differing = [
        f"{key} is {before.get(key)!r} there and {now.get(key)!r} here"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise RecordError(f"{out} holds another benchmark: {'; '.join(differing[:3])}. Give a new folder.")


def _write_recipe(out: Path, recipe: Recipe) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recipe.fixed(), indent=2) + "\n"
    write_text(out / RECIPE_FILE, text)
