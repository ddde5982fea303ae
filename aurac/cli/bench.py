"""Run a benchmark from a recipe: train and score a grid, choose a setting for each method, repeat it with more seeds.

Examples:
  aurac bench benchmarks/recipes/testbed.toml --out runs/testbed --dry-run
  aurac bench benchmarks/recipes/testbed.toml --out runs/testbed --jobs 2
  aurac bench my-recipe.toml --out runs/mine --format markdown > table.md

A recipe is a TOML file: base models, data, ranks, methods with their grids, seeds, tasks (docs/benchmark.md). What is
to be done is printed first. The same command goes on where it was interrupted and does again what failed; what is done
is left as it is. The records of the chosen settings are in DIR/records, for `aurac compare` and `aurac report`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aurac.report.formats import FORMATS

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from aurac.workflows.bench.kinds import Study
    from aurac.workflows.bench.recipe import Recipe

RECIPE_FILE = "recipe.json"
"""What of the recipe a folder was made with, and may not change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="TOML file")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of adapters and records")
    parser.add_argument("--dry-run", action="store_true", help="print what is to be done, and do nothing")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="trainings or scorings at a time, each a process (default: 1)",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Plan, do, print; 1 if something failed."""
    from aurac.workflows.bench.plan import studies
    from aurac.workflows.bench.recipe import read_recipe
    from aurac.workflows.bench.work import processes

    recipe = read_recipe(args.recipe)
    found = studies(recipe, args.out)
    _check_folder(args.out, recipe)
    print("\n".join(plan_lines(recipe, found)), file=sys.stdout if args.dry_run else sys.stderr, flush=True)
    if args.dry_run:
        return 0
    _write_recipe(args.out, recipe)
    failed: dict[str, str] = {}
    with processes(args.jobs) as pool:
        for study in found:
            failed |= run_study(recipe, study, pool, output=args.format)
    for label, error in failed.items():
        print(f"failed: {label}: {error}", file=sys.stderr)
    return 1 if failed else 0


def run_study(recipe: Recipe, study: Study, pool: ProcessPoolExecutor | None, *, output: str) -> dict[str, str]:
    """Do one study and print its table; returns what failed."""
    from aurac.workflows.bench import outcome, plan
    from aurac.workflows.bench.choice import choose, chosen_settings, write_choice
    from aurac.workflows.bench.work import work_off

    grid = plan.grid(recipe, study)
    failed = work_off(grid, pool)
    choice = choose(grid)
    write_choice(study.root, choice)
    final = plan.chosen(recipe, study, chosen_settings(choice))
    failed |= work_off(final, pool)
    outcome.publish(study.root, final)
    if found := outcome.rows(final):
        print(outcome.render(found, output, title=_title(study)), end="")
    return failed


def plan_lines(recipe: Recipe, found: list[Study]) -> list[str]:
    """Return a line for every study and step: how many trainings and scorings, and how many of them are done."""
    lines = []
    for study in found:
        first, others = _counts(recipe, study)
        lines += [f"{_title(study)}:", f"  grid with seed {recipe.seeds[0]}: {first}", f"  chosen settings: {others}"]
    return lines


def _counts(recipe: Recipe, study: Study) -> tuple[str, str]:
    from aurac.workflows.bench import plan
    from aurac.workflows.bench.choice import choose, chosen_settings

    grid = plan.grid(recipe, study)
    configs = plan.trainings(grid)
    trained, scored = sum(map(plan.is_trained, configs)), sum(scoring.is_done() for scoring in grid)
    first = f"{len(configs)} trainings ({trained} done), {len(grid)} scorings ({scored} done)"
    if scored < len(grid):
        n_scorings = len(plan.curves(recipe)) * (len(recipe.seeds) * len(study.data.suites) - 1)
        most = plan.most_trainings(recipe, study)
        return first, f"at most {most} further trainings, {n_scorings} further scorings"
    final = plan.chosen(recipe, study, chosen_settings(choose(grid)))
    further = [config for config in plan.trainings(final) if config.out not in {known.out for known in configs}]
    records = [scoring for scoring in final if scoring.out not in {known.out for known in grid}]
    trained, scored = sum(map(plan.is_trained, further)), sum(scoring.is_done() for scoring in records)
    return first, (
        f"{len(further)} further trainings ({trained} done), {len(records)} further scorings ({scored} done)"
    )


def _title(study: Study) -> str:
    return f"{study.model}, {study.data.name}, rank {study.rank}"


def _check_folder(out: Path, recipe: Recipe) -> None:
    """Raise `RecordError` if the folder holds the results of a recipe that differs in more than what may be added."""
    from aurac.errors import RecordError

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
    from aurac.results.layout import write_atomically

    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recipe.fixed(), indent=2) + "\n"
    write_atomically(out / RECIPE_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)
