"""The grid behind the learning rates of `aurac demo`: every method, scaling rule and learning rate, each treated alike.

    OMP_NUM_THREADS=1 python benchmarks/demo_grid.py --out runs/grid > grid.md

36 trainings and 60 sweeps, about 20 minutes on 2 cores; the same command goes on where it was interrupted. Prints one
row for each curve: the macro AURAC (log2 axis, mean of the three tasks) in points.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from tqdm import tqdm

import aurac
from aurac import testbed
from aurac.cli import main as run_command
from aurac_adapters import METHODS, svd_rotate

SCALINGS = ("one", "sqrt", "rank")
LEARNING_RATES = ("2e-3", "5e-3", "1e-2", "2e-2")
RANK, STEPS, BATCH = 32, 600, 64
# Curve -> the method that is trained for it, the inference rule.
CURVES = {
    "LoRA, prefix": ("lora", "prefix"),
    "SVD-LoRA": ("lora", "svd"),
    "DyLoRA": ("dylora", "prefix"),
    "MatryoshkaLoRA, prefix": ("matryoshka", "prefix"),
    "MatryoshkaLoRA, trained": ("matryoshka", "trained"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Train and score the grid of every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", default="42")
    parser.add_argument("--scalings", default=",".join(SCALINGS))
    parser.add_argument("--learning-rates", default=",".join(LEARNING_RATES))
    args = parser.parse_args(argv)
    cells = list(product(args.scalings.split(","), args.learning_rates.split(",")))
    trainable = [name for name in METHODS if METHODS[name].trainable]
    for method, (scaling, rate) in tqdm(list(product(trainable, cells)), unit="training"):
        train(args.out / name_of(method, scaling, rate, args.seed), method, scaling, rate, args.seed)
    print("| curve | " + " | ".join(f"{scaling} {rate}" for scaling, rate in cells) + " |")
    print("|---" * (len(cells) + 1) + "|")
    for curve, (method, rule) in CURVES.items():
        folders = [args.out / name_of(method, scaling, rate, args.seed) for scaling, rate in cells]
        print(f"| {curve} | " + " | ".join(f"{100 * macro(score(folder, rule)):.1f}" for folder in folders) + " |")


def name_of(method: str, scaling: str, rate: str, seed: str) -> str:
    """Return the folder of a training."""
    return f"{method}-{scaling}-{rate}-seed{seed}"


def train(out: Path, method: str, scaling: str, rate: str, seed: str) -> None:
    """Run `aurac train` as the demo does, and rotate what can be rotated."""
    data = ("--model", str(testbed.MODEL), "--data", str(testbed.TRAIN), "--rank", str(RANK), "--seed", seed)
    size = ("--max-steps", str(STEPS), "--batch-size", str(BATCH), "--gradient-accumulation", "1")
    quietly("train", "--method", method, "--scaling", scaling, "--learning-rate", rate, *data, *size, "--out", str(out))
    if method == "lora" and not (out / "svd").exists():
        svd_rotate(out, out / "svd")


def score(folder: Path, rule: str) -> aurac.Run:
    """Run `aurac score` and return its record."""
    adapter, options = (folder / "svd", ()) if rule == "svd" else (folder, ("--inference", rule))
    tasks = ("--tasks", ",".join(testbed.TASK_NAMES), "--include-path", str(testbed.TASKS), "--batch-size", "64")
    quietly("score", str(adapter), *tasks, *options, "--out", str(folder / f"run-{rule}"))
    return aurac.load(folder / f"run-{rule}")


def macro(run: aurac.Run) -> float:
    """Return the mean over the tasks of the area under the curve, fraction in [0, 1]."""
    return sum(run.curves[task].area() for task in testbed.TASK_NAMES) / len(testbed.TASK_NAMES)


def quietly(*argv: str) -> None:
    """Run an `aurac` command; its tables are not wanted here, its errors are."""
    with contextlib.redirect_stdout(io.StringIO()):
        if run_command(argv):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
