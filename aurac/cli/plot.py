"""Draw runs: curves, differences, intervals, places, or score against size.

Examples:
  aurac plot curves runs/lora runs/matryoshka --out curves.pdf --base arc=41.2
  aurac plot difference runs/lora runs/matryoshka --baseline lora --out difference.svg
  aurac plot pareto runs/* --tasks arc --out pareto.png --out pareto.pdf
  aurac plot pareto runs/lora --cost decode --out time.pdf
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from aurac.analysis.costs import axis_names
from aurac.cli.options import add_by, fraction, rows, task_names
from aurac.errors import AuracError
from aurac.report.plots.cost_axis import cost_names, is_measured
from aurac.report.plots.kinds import KINDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    known = KINDS.usable()
    kinds = "; ".join(f"{name}: {kind.summary}" for name, kind in known.items())
    parser.add_argument("kind", metavar="KIND", choices=tuple(known), help=kinds)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="as for aurac compare: a record, or NAME=RUN,RUN")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        action="append",
        required=True,
        help="picture to write (.png, .pdf, .svg); may be given again",
    )
    add_by(parser)
    parser.add_argument(
        "--tasks",
        type=task_names,
        metavar="TASKS",
        help="comma-separated, perhaps with a recorded metric (arc:gold_nll); default: all tasks that every run has",
    )
    parser.add_argument("--axis", choices=axis_names(), default="log2", help="what is drawn over (default: log2)")
    parser.add_argument(
        "--confidence-level", type=fraction, default=0.95, metavar="P", help="of bands and intervals (default: 0.95)"
    )
    parser.add_argument("--baseline", metavar="NAME", help="difference: run to subtract (default: the first)")
    parser.add_argument(
        "--base",
        metavar="TASK=POINTS",
        action="append",
        default=[],
        help="curves: score of the base model on a task, a line; may be given again",
    )
    parser.add_argument("--reference", metavar="RUN", help="curves: adapters retrained for every rank, drawn as points")
    parser.add_argument(
        "--cost", choices=cost_names(), help="pareto: size of the adapter, or a time of `aurac profile` (default: size)"
    )


def run(args: argparse.Namespace) -> int:
    """Draw and write."""
    from aurac.report.plots import style
    from aurac.report.plots.kinds import PlotOptions, check_enough, draw
    from aurac.report.tables.cost import noise_of
    from aurac.results import load

    for path in args.out:
        style.check_file(path)
    options = PlotOptions(
        tasks=args.tasks,
        axis=args.axis,
        confidence_level=args.confidence_level,
        baseline=args.baseline,
        bases=dict(map(_base, args.base)),
        reference=args.reference,
        by=args.by,
        cost=args.cost,
    )
    given = rows(args.runs)
    check_enough(args.kind, len(given))
    named = args.tasks or ()
    runs: Any = (
        {name: [load(path).with_metrics(named) for path in paths] for name, paths in given.items()}
        if isinstance(given, dict)
        else [load(path).with_metrics(named) for path in given]
    )
    style.write(lambda: draw(args.kind, runs, options), *args.out)
    if is_measured(args.cost):
        for record in runs:
            for said in noise_of(record):
                print(f"warning: {record.name}: {said}", file=sys.stderr)
    for path in args.out:
        print(path)
    return 0


def _base(text: str) -> tuple[str, float]:
    task, _, points = text.rpartition("=")
    try:
        found = float(points)
    except ValueError as exc:
        raise AuracError(f"--base {text!r} is not TASK=POINTS. Give for example arc=41.2.") from exc
    if not (task and math.isfinite(found)):
        raise AuracError(f"--base {text!r} is not TASK=POINTS. Give for example arc=41.2.")
    return task, found
