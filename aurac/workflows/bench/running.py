"""Do what a recipe says, study by study, into a folder that belongs to this recipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from aurac.errors import RecordError
from aurac.workflows.bench import outcome, plan
from aurac.workflows.bench.choice import choose, chosen_settings, write_choice
from aurac.workflows.bench.counting import hours_line
from aurac.workflows.bench.jobs import Job, Shard, jobs_of
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.outcome import Outcome
from aurac.workflows.bench.recipe import Recipe
from aurac.workflows.bench.work import work_off
from aurac.workflows.executors import EXECUTORS, Resources
from aurac.workflows.executors.local import ThisProcess
from aurac.writing import write_text

RECIPE_FILE = "recipe.json"
"""What of the recipe a folder was made with, and may not change."""
RECIPE_COPY = "recipe.toml"
"""The recipe as it was given last, for `aurac bench status`."""
LOGS = "executor-logs"
"""Where an executor writes its own."""
AGAIN = "When they are done, give the same command again."


def run_recipe(
    recipe: Recipe,
    out: Path,
    *,
    executor: str = "local",
    resources: Resources | None = None,
    shard: Shard | None = None,
    copies: Mapping[str, str] | None = None,
) -> Iterator[tuple[Outcome | None, dict[str, str]]]:
    """Train, score and choose; what is done is left as it is, what failed is done again.

    Args:
        recipe: From `read_recipe`.
        out: Folder of adapters and records; every machine must see it under this name.
        executor: A name in `EXECUTORS`.
        resources: What the executor is asked for; None for its defaults.
        shard: Do only this part, and nothing that needs the others' parts; None for all of it.
        copies: Base model, as the recipe calls it -> folder of a copy that is used instead.

    Yields:
        For each study its table, None where nothing could be scored or other shards are not done, and label -> error
        of what failed.

    Raises:
        RecordError: If the folder holds something else, or the results of another recipe.
        ExecutorError: If the executor cannot be used.
    """
    check_folder(out, recipe)
    asked = resources or Resources(folder=out / LOGS)
    studies = plan.studies(recipe, out, copies)
    with ThreadPoolExecutor(len(studies)) as drivers, EXECUTORS[executor](asked) as pool:
        _write_recipe(out, recipe)

        def run(study: Study) -> tuple[Outcome | None, dict[str, str]]:
            return _run_study(recipe, study, pool, out, shard, lambda: _tell(recipe, studies))

        # Studies do not wait for each other, except where one process does everything.
        yield from map(run, studies) if isinstance(pool, ThisProcess) else drivers.map(run, studies)


def calibrate(
    recipe: Recipe,
    out: Path,
    *,
    executor: str = "local",
    resources: Resources | None = None,
    copies: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Do the first training and the first scoring of a recipe, so that it is known what they take.

    Args:
        recipe: From `read_recipe`.
        out: As for `run_recipe`, which goes on from there.
        executor: A name in `EXECUTORS`.
        resources: What the executor is asked for; None for its defaults.
        copies: As for `run_recipe`.

    Returns:
        Label -> error of what failed.

    Raises:
        RecordError: If the folder holds something else, or the results of another recipe.
        ExecutorError: If the executor cannot be used.
    """
    check_folder(out, recipe)
    grid = plan.grid(recipe, plan.studies(recipe, out, copies)[0])
    first = min(grid, key=lambda scoring: len(scoring.adapter.trainings))  # the first one of those with one training
    with EXECUTORS[executor](resources or Resources(folder=out / LOGS)) as pool:
        _write_recipe(out, recipe)
        return work_off(jobs_of([first]), pool, out)


def _run_study(
    recipe: Recipe, study: Study, pool: Executor, out: Path, shard: Shard | None, tell: Callable[[], None]
) -> tuple[Outcome | None, dict[str, str]]:
    grid = plan.grid(recipe, study)
    failed = work_off(_part(grid, shard), pool, out, tell=tell)
    if shard and not all(scoring.is_done() for scoring in grid):
        print(f"{study.title}: the choice waits for the other shards' part of the grid. {AGAIN}", file=sys.stderr)
        return None, failed
    choice = choose(grid)
    write_choice(study.root, choice)
    final = plan.chosen(recipe, study, chosen_settings(choice))
    failed |= work_off(_part(final, shard), pool, out)
    if shard and not all(scoring.is_done() for scoring in final):
        print(f"{study.title}: other shards' parts are not done. {AGAIN}", file=sys.stderr)
        return None, failed
    outcome.publish(study.root, final)
    found = outcome.rows(final)
    return (Outcome(found, study.title, choice, study.data.selection) if found else None), failed


def _part(scorings: Sequence[plan.Scoring], shard: Shard | None) -> list[Job]:
    jobs = jobs_of(scorings)
    return jobs if shard is None else shard.of(jobs)


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
    write_text(out / RECIPE_COPY, recipe.text)
