"""Train, score and compare three methods on the embedded model, from end to end.

Examples:
  aurac demo
  aurac demo --out my-demo

It runs `aurac train`, `aurac score` and `aurac compare` on a model of 142,000 parameters and three small tasks that are
shipped with the package: no download, no GPU. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aurac import testbed

RANK = 32
STEPS = 600

METHODS = ("lora", "dylora", "matryoshka")
# One setting for all methods, the best of the grid in docs/testbed.md for LoRA and DyLoRA; the others would gain with
# another (SVD-LoRA 2 points, MatryoshkaLoRA 7).
TRAINING = ("--scaling", "sqrt", "--learning-rate", "1e-2", "--batch-size", "64", "--gradient-accumulation", "1")
# Name of the run -> adapter, further arguments of `aurac score`.
RUNS = {
    "lora": ("lora", ()),
    "svd-lora": ("svd-lora", ()),
    "dylora": ("dylora", ()),
    "matryoshka-prefix": ("matryoshka", ("--inference", "prefix")),
    "matryoshka-trained": ("matryoshka", ("--inference", "trained")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")


def run(args: argparse.Namespace) -> int:
    """Run the commands, each shown before it runs."""
    # A model this small gains 2 s a training from a second thread where the machine is idle, and loses most of a minute
    # where it is not: OpenMP's threads spin while they wait for each other. Torch reads this when it is first imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    started = time.perf_counter()
    adapters, runs = args.out / "adapters", args.out / "runs"
    data = ("--model", str(testbed.MODEL), "--data", str(testbed.TRAIN), "--rank", str(RANK), "--max-steps", str(STEPS))
    for name in METHODS:
        if status := command("train", "--method", name, *data, *TRAINING, "--out", str(adapters / name)):
            return status
    rotated = adapters / "svd-lora"
    if not rotated.exists() and (status := command("rotate", str(adapters / "lora"), "--out", str(rotated))):
        return status
    tasks = ("--tasks", ",".join(testbed.TASK_NAMES), "--include-path", str(testbed.TASKS), "--dtype", "float32")
    for name, (adapter, options) in RUNS.items():
        if status := command("score", str(adapters / adapter), *tasks, *options, "--out", str(runs / name)):
            return status
    show([runs / name for name in RUNS], args.out)
    print(f"{time.perf_counter() - started:.0f} s; tables and plots are in {args.out}", file=sys.stderr)
    return 0


def command(*argv: str) -> int:
    """Run one `aurac` command as a user would, without its table: the comparison at the end has them all."""
    from aurac.cli import main

    print("$ aurac " + " ".join(argv), file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()):
        return main(argv)


def show(runs: Sequence[Path], out: Path) -> None:
    """Print verdict and leaderboard, write all tables and the plots, and say how to see more."""
    from aurac.report.comparison import compare
    from aurac.report.plots.curves import save_curves

    comparison = compare(runs, baseline="lora")
    for name, output in (("leaderboard.md", "markdown"), ("leaderboard.csv", "csv"), ("leaderboard.json", "json")):
        (out / name).write_text(comparison.render(output), encoding="utf-8")
    files = [out / f"curves.{ending}" for ending in ("png", "pdf", "svg")]
    save_curves(comparison.runs, *files, tasks=comparison.tasks, comparison=comparison)
    print(comparison.summary())
    print(f"More: {out}/leaderboard.md, {out}/curves.png, or")
    print(f"  aurac compare {runs[0]} {runs[2]} --full")
    print(f"  aurac recommend {runs[1]} --margin 5")
