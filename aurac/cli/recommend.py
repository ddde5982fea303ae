"""Recommend the smallest rank that loses less than a margin to full rank, with evidence.

Examples:
  aurac recommend runs/matryoshka
  aurac recommend runs/matryoshka --margin 0.5 --tasks arc
  aurac recommend runs/matryoshka --margin 2 --format json
  aurac recommend runs/svd-lora --by params
  aurac recommend runs/matryoshka/seed-*

Ranks are tested from full rank down until the first that fails, so the chance to name a rank that loses the margin or
more is at most ALPHA. "Not significantly different from full rank" has no such property. Times of `aurac profile` that
lie in the record's folder are printed too. With several training seeds of one method the answer is the rank to serve
for its next training: documents and seeds are both random.
"""

from __future__ import annotations

import argparse

from aurac.analysis.recommend import SIZES
from aurac.cli.options import add_cluster, fraction, margin, task_names
from aurac.report.formats import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "record",
        nargs="+",
        metavar="RUN",
        help="folder of a run record, or of a scored adapter; several are trainings of one method with other seeds",
    )
    parser.add_argument(
        "--margin",
        type=margin,
        default=1.0,
        metavar="POINTS",
        help="largest acceptable loss in points; hundredths of the unit for metrics like bits per byte (default: 1.0)",
    )
    parser.add_argument(
        "--alpha", type=fraction, default=0.05, metavar="P", help="chance of naming an inadequate rank (default: 0.05)"
    )
    add_cluster(parser)
    parser.add_argument(
        "--by",
        choices=SIZES,
        default="rank",
        help="params: the smallest number of parameters, which for layers with ranks of their own is a budget",
    )
    parser.add_argument(
        "--tasks",
        type=task_names,
        metavar="TASKS",
        help="comma-separated, perhaps with a recorded metric (arc:gold_nll); default: all tasks of the run",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Print the recommendation."""
    from aurac.analysis.adapter_size import size
    from aurac.report.pages.comparison import printed
    from aurac.report.recommendation import recommend
    from aurac.results import load, read_profile
    from aurac.results.files import preferred

    paths = [preferred(path, budgets=args.by == "params") for path in args.record]
    record = load(paths[0])
    found = size(record)
    made = recommend(
        record if len(paths) == 1 else paths,
        margin=args.margin / 100,
        alpha=args.alpha,
        tasks=args.tasks,
        cluster=args.cluster,
        by=args.by,
        parameters=None if found is None else found.parameters,
        n_bytes=None if found is None else found.bytes,
        profile=read_profile(record) if len(args.record) == 1 else None,
    )
    print(printed(made, args.format, f"Which rank of {record.name} to serve"), end="")
    return 0
