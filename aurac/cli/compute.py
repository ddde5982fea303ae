"""Integrate a rank-accuracy curve from a file: AURAC on both axes, weights, signature.

Examples:
  aurac compute curve.csv
  aurac compute curve.csv --scale percent --axis linear
  aurac compute runs/matryoshka --task arc --format json

FILE is a CSV file with the columns rank and accuracy, a JSON file ({"1": 0.41, "2": 0.44} or
{"ranks": [...], "accuracies": [...]}), or the folder of a run record.
"""

from __future__ import annotations

import argparse

from aurac.cli.options import add_integration, integration
from aurac.report.formats.json import json_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="curve (.csv, .json) or run record (folder)")
    parser.add_argument("--task", help="which task of a run record")
    parser.add_argument(
        "--metric", metavar="NAME", help="which metric, with its filter after a colon where it has some"
    )
    parser.add_argument(
        "--within", nargs=2, type=float, metavar=("LO", "HI"), help="only this range of ranks, ends interpolated"
    )
    parser.add_argument(
        "--scale", choices=("fraction", "percent"), default="fraction", help="of the accuracies (default: fraction)"
    )
    parser.add_argument(
        "--duplicates", choices=("error", "mean"), default="error", help="ranks that occur twice (default: error)"
    )
    add_integration(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(args: argparse.Namespace) -> int:
    """Print the score."""
    from aurac.analysis.compute import compute
    from aurac.report.width import fold_text

    score = compute(
        args.file,
        within=args.within and tuple(args.within),
        scale=args.scale,
        duplicates=args.duplicates,
        task=args.task,
        metric=args.metric,
        **integration(args),
    )
    print(json_text(score.to_dict()) if args.format == "json" else fold_text(f"{score}\n"), end="")
    return 0
