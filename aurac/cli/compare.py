"""Compare runs on the same documents: leaderboard, paired differences to a baseline, overlay plot.

Examples:
  aurac compare runs/lora runs/dylora runs/matryoshka
  aurac compare runs/* --baseline lora --format csv > leaderboard.csv
  aurac compare runs/lora runs/matryoshka --tasks arc --axis linear --plot curves.pdf
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.quadrature import AXES, RULES
from aurac.report.comparison import OUTPUTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run record, or of a scored adapter")
    parser.add_argument("--baseline", metavar="NAME", help="run that the others are compared with (default: the first)")
    parser.add_argument("--tasks", help="comma-separated; default: all tasks that every run has")
    parser.add_argument("--axis", choices=tuple(AXES), default="log2", help="what is integrated over (default: log2)")
    parser.add_argument("--rule", choices=tuple(RULES), default="trapezoid", help="default: trapezoid")
    parser.add_argument("--confidence-level", type=float, default=0.95, metavar="P", help="default: 0.95")
    parser.add_argument("--seed", type=int, default=12345, help="of the sign-flip test (default: 12345)")
    parser.add_argument("--format", choices=OUTPUTS, default="terminal", help="default: terminal")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="also draw the curves (.png, .pdf, .svg)")


def run(args: argparse.Namespace) -> int:
    """Print the comparison and draw the plot."""
    from aurac.report.comparison import compare

    comparison = compare(
        args.runs,
        baseline=args.baseline,
        tasks=args.tasks.split(",") if args.tasks else None,
        axis=args.axis,
        rule=args.rule,
        confidence_level=args.confidence_level,
        seed=args.seed,
    )
    print(comparison.render(args.format), end="")
    if args.plot:
        from aurac.report.plots import save_curves

        save_curves(comparison.runs, args.plot, tasks=comparison.tasks, axis=args.axis)
    return 0
