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
import sys
from pathlib import Path

from aurac.cli.options import positive
from aurac.errors import RecipeError
from aurac.report.formats import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="TOML file")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of adapters and records")
    parser.add_argument(
        "--copy",
        action="append",
        default=[],
        metavar="MODEL=DIR",
        help="a copy of one of the recipe's base models on this machine, used instead; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what is to be done, and do nothing")
    parser.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="trainings or scorings at a time, each a process (default: 1)",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Plan, do, print; 1 if something failed."""
    from aurac.workflows.bench.counting import plan_lines
    from aurac.workflows.bench.plan import studies
    from aurac.workflows.bench.recipe import read_recipe
    from aurac.workflows.bench.running import check_folder, run_recipe

    recipe = read_recipe(args.recipe)
    copies = dict(map(_copy, args.copy))
    lines = plan_lines(recipe, studies(recipe, args.out, copies))
    check_folder(args.out, recipe)
    print("\n".join(lines), file=sys.stdout if args.dry_run else sys.stderr, flush=True)
    if args.dry_run:
        return 0
    failed: dict[str, str] = {}
    for outcome, errors in run_recipe(recipe, args.out, jobs=args.jobs, copies=copies):
        failed |= errors
        if outcome is not None:
            print(outcome.render(args.format), end="")
    for label, error in failed.items():
        print(f"failed: {label}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _copy(text: str) -> tuple[str, str]:
    name, given, folder = text.partition("=")
    if not (name and given and Path(folder).is_dir()):
        raise RecipeError(
            f"--copy {text}: {folder or 'nothing'} is no folder. Give MODEL=DIR, the model as in the recipe."
        )
    return name, folder
