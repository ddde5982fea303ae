"""Compare runs on the same documents: leaderboard, paired differences to a baseline, overlay plot.

Examples:
  aurac compare runs/lora runs/dylora runs/matryoshka
  aurac compare runs/* --baseline lora --format csv > leaderboard.csv
  aurac compare runs/lora runs/matryoshka --tasks arc --axis linear --plot curves.pdf
  aurac compare runs/lora runs/matryoshka --prose
  aurac compare runs/*/seed-* --by method --baseline lora
  aurac compare runs/first runs/second --margin 1 --full
  aurac compare lora=runs/a,runs/b dylora=runs/c,runs/d

A terminal shows verdict and leaderboard; --full adds tests, the value at every rank, notes and signatures.
With several training seeds of each method the errors are over documents and seeds, so that they are about the method.
A method is what the records say (--by method), or what you say (NAME=RUN,RUN).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.analysis.families import FAMILIES
from aurac.cli.options import add_by, add_cluster, add_integration, integration, margin, rows, task_names
from aurac.report.formats import FORMATS
from aurac.statistics.seeds import TARGETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of a run record, or of a scored adapter; or NAME=RUN,RUN for one method with several seeds",
    )
    add_by(parser)
    parser.add_argument(
        "--target",
        choices=tuple(TARGETS),
        metavar="TARGET",
        help=f"what the errors are about: {', '.join(TARGETS)} (default: docs for runs, docs+seeds for methods, "
        "+prompts where examples were drawn several times)",
    )
    parser.add_argument("--baseline", metavar="NAME", help="run that the others are compared with (default: the first)")
    add_cluster(parser)
    parser.add_argument(
        "--tasks",
        type=task_names,
        metavar="TASKS",
        help="comma-separated, perhaps with a recorded metric (arc:gold_nll); default: all tasks that every run has",
    )
    add_integration(parser)
    parser.add_argument(
        "--allow",
        metavar="KEY,...",
        help="signature keys that may differ, such as shots; the tables then say so",
    )
    parser.add_argument(
        "--ranks",
        choices=("common",),
        help="common: compare on the ranks that all runs have (default: must be the same)",
    )
    parser.add_argument(
        "--family", choices=FAMILIES, default="task", help="all: adjust p-values over the tasks too (default: task)"
    )
    parser.add_argument(
        "--margin", type=margin, metavar="POINTS", help="also test whether runs equal the baseline within this"
    )
    parser.add_argument(
        "--full", action="store_true", help="terminal: also the tests, the value at every rank, notes and signatures"
    )
    parser.add_argument("--prose", action="store_true", help="print a methods paragraph for a paper instead of tables")
    parser.add_argument("--seed", type=int, default=12345, help="of the sign-flip test (default: 12345)")
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="also draw the curves (.png, .pdf, .svg); may be given again",
    )


def run(args: argparse.Namespace) -> int:
    """Print the comparison and draw the plot."""
    from aurac.report.comparison import compare
    from aurac.report.pages.comparison import printed
    from aurac.report.plots.curves import save_curves
    from aurac.report.plots.style import check_file
    from aurac.report.width import fold, fold_text, terminal_width

    for path in args.plot:
        check_file(path)
    comparison = compare(
        rows(args.runs),
        by=args.by,
        target=args.target,
        baseline=args.baseline,
        tasks=args.tasks,
        cluster=args.cluster,
        **integration(args),
        seed=args.seed,
        allow=args.allow.split(",") if args.allow else (),
        ranks=args.ranks,
        family=args.family,
        margin=None if args.margin is None else args.margin / 100,
    )
    if args.format == "terminal" and not (args.full or args.prose):
        print(comparison.summary())
        more = "More: --full (tests, each rank, how to read it, signatures), --format, --plot."
        print(fold(more, terminal_width()))
    else:
        text = fold_text(comparison.prose()) if args.prose else printed(comparison, args.format, "Comparison")
        print(text, end="")
    if args.plot:
        settings = comparison.settings
        save_curves(comparison.runs, *args.plot, tasks=comparison.tasks, axis=settings.axis, comparison=comparison)
    return 0
