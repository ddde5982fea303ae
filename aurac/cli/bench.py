"""Run a benchmark from a recipe: train and score a grid, choose a setting for each method, repeat it with more seeds.

Examples:
  aurac bench benchmarks/recipes/testbed.toml --out runs/testbed --dry-run
  aurac bench benchmarks/recipes/testbed.toml --out runs/testbed --jobs 2
  aurac bench my-recipe.toml --out runs/mine --format markdown > table.md
  aurac bench my-recipe.toml --out runs/mine --executor ray --gpus 0.25
  aurac bench my-recipe.toml --out runs/mine --calibrate
  aurac bench status runs/mine

A recipe is a TOML file: base models, data, ranks, methods with their grids, seeds, tasks (docs/benchmark.md). What is
to be done is printed first. The same command goes on where it was interrupted and does again what failed; what is done
is left as it is. The records of the chosen settings are in DIR/records, for `aurac compare` and `aurac report`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from aurac.cli.options import positive
from aurac.errors import OptionError, RecipeError
from aurac.report.formats import FORMATS
from aurac.workflows.executors import EXECUTORS
from aurac.workflows.options import check_gpus

STATUS = "status"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="TOML file; or status, followed by DIR")
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="with status: the folder to look at")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of adapters and records")
    parser.add_argument(
        "--copy",
        action="append",
        default=[],
        metavar="MODEL=DIR",
        help="a copy of one of the recipe's base models on this machine, used instead; may be repeated",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what is done, left, running and failed, and do nothing"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="do the first training and scoring only, and say what the rest takes"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="trainings or scorings at a time, each a process (default: 1 here, as many as there is room on a cluster)",
    )
    add_executor(parser)
    parser.add_argument(
        "--shard", metavar="I/N", help="do part I of N only, for any other scheduler (a job array); needs no other part"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Declare where jobs run, and what they are given there."""
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--executor",
        choices=tuple(EXECUTORS),
        default="local",
        help="this machine, a Ray cluster (pip install 'aurac[ray]') or SLURM ('aurac[slurm]') (default: local)",
    )
    group.add_argument("--address", metavar="HOST:PORT", help="of the Ray cluster (default: RAY_ADDRESS, else here)")
    group.add_argument(
        "--gpus",
        type=amount,
        metavar="X",
        help="GPUs for each job; with Ray 0.25 lets four share one (default: 1 if any)",
    )
    group.add_argument("--cpus", type=positive, metavar="N", help="cores for each job, with Ray or SLURM")
    group.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of submitit, such as partition=gpu or timeout_min=240; may be repeated",
    )


def amount(text: str) -> float:
    """Return a number of GPUs, 0 or more; a fraction below 1, else a whole number."""
    try:
        value = float(text)
        check_gpus(value)
    except (ValueError, OptionError):
        message = f"{text!r} is no number of GPUs: a fraction up to 1, or a whole number"
        raise argparse.ArgumentTypeError(message) from None
    return value


def run(args: argparse.Namespace) -> int:
    """Plan, do, print; 1 if something failed."""
    from aurac.report.width import fold_text
    from aurac.workflows.bench.activity import activity_lines
    from aurac.workflows.bench.beforehand import check_sources, check_tasks
    from aurac.workflows.bench.counting import plan_lines
    from aurac.workflows.bench.jobs import read_shard
    from aurac.workflows.bench.plan import studies
    from aurac.workflows.bench.recipe import read_recipe
    from aurac.workflows.bench.running import LOGS, calibrate, check_folder, run_recipe
    from aurac.workflows.executors import Resources, check_installed

    if str(args.recipe) == STATUS:
        return status(args)
    if args.folder is not None or args.out is None:
        args.refuse(f"give a recipe and a folder for it: aurac bench {args.recipe} --out {args.folder or 'DIR'}")
    resources = Resources(
        folder=args.out / LOGS,
        jobs=args.jobs,
        address=args.address,
        gpus=args.gpus,
        cpus=args.cpus,
        settings=tuple(args.slurm),
    )
    resources.check(args.executor)
    if not args.dry_run:
        check_installed(args.executor)
    shard = read_shard(args.shard) if args.shard else None
    recipe = read_recipe(args.recipe)
    copies = dict(map(_copy, args.copy))
    found = studies(recipe, args.out, copies)
    check_tasks(recipe)
    if args.executor == "local" and not args.dry_run:
        check_sources(found)
    lines = plan_lines(recipe, found, gpus=args.gpus)
    check_folder(args.out, recipe)
    if args.dry_run:
        lines += activity_lines(recipe, found, args.out)
    print(fold_text("\n".join(lines)), file=sys.stdout if args.dry_run else sys.stderr, flush=True)
    if args.dry_run:
        return 0
    where: dict[str, Any] = {"executor": args.executor, "resources": resources, "copies": copies}
    failed: dict[str, str] = {}
    if args.calibrate:
        failed = calibrate(recipe, args.out, **where)
        print(fold_text("\n".join(plan_lines(recipe, found, gpus=args.gpus))))
    else:
        finished = []
        for outcome, errors in run_recipe(recipe, args.out, shard=shard, **where):
            failed |= errors
            if outcome is not None and args.format == "html":
                finished.append(outcome)
            elif outcome is not None:
                print(outcome.render(args.format), end="")
        if finished:
            from aurac.report.pages.comparison import one_page

            print(one_page(finished, args.recipe.stem), end="")
    for label, error in failed.items():
        print(f"failed: {label}: {error}", file=sys.stderr)
    return 1 if failed else 0


def status(args: argparse.Namespace) -> int:
    """Print what the folder says."""
    from aurac.report.width import fold_text
    from aurac.workflows.bench.status import status_lines

    folder = args.folder or args.out
    if folder is None:
        args.refuse("give the folder to look at: aurac bench status DIR")
    print(fold_text("\n".join(status_lines(folder, gpus=args.gpus))))
    return 0


def _copy(text: str) -> tuple[str, str]:
    name, given, folder = text.partition("=")
    if not (name and given and Path(folder).is_dir()):
        raise RecipeError(
            f"--copy {text}: {folder or 'nothing'} is no folder. Give MODEL=DIR, the model as in the recipe."
        )
    return name, folder
