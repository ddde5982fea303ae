"""Plan a comparison: which difference so many documents and seeds can show, and how many a difference needs.

Examples:
  aurac power --documents 1172,10042
  aurac power --effect 1 --sd 30
  aurac power --documents 300,1172 --effect 2 --plot power.pdf
  aurac power runs/lora runs/matryoshka --effect 1 --seeds 3 --seed-sd 0.4

All numbers are in points. With two runs the spread of the differences is taken from them, as from a pilot study;
without runs and --sd three typical spreads are shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.cli.options import document_counts, fraction, points_of_accuracy, positive, spread
from aurac.report.formats import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="two scored runs that show the spread")
    parser.add_argument("--documents", type=document_counts, metavar="N,...", help="default: as many as the runs have")
    parser.add_argument("--effect", type=points_of_accuracy, metavar="POINTS", help="difference that matters")
    parser.add_argument("--sd", type=spread, metavar="POINTS", help="spread of the per-document differences")
    parser.add_argument("--seeds", type=positive, metavar="S", help="training seeds of each method")
    parser.add_argument(
        "--seed-sd", type=spread, default=0.0, metavar="POINTS", help="spread of a method's score between seeds"
    )
    parser.add_argument("--power", type=fraction, default=0.8, metavar="P", help="chance to find it (default: 0.8)")
    parser.add_argument("--alpha", type=fraction, default=0.05, metavar="P", help="level of the test (default: 0.05)")
    parser.add_argument(
        "--plot",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="draw the power curves too (.png, .pdf, .svg); may be given again",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from aurac.analysis.power import TYPICAL, Question, Spread, observed_spreads
    from aurac.errors import CurveError
    from aurac.report.pages.comparison import printed
    from aurac.report.plots.style import check_file
    from aurac.report.power import power
    from aurac.results import load

    for path in args.plot:
        check_file(path)
    effect = None if args.effect is None else args.effect / 100
    question = Question(effect, args.power, args.alpha, args.seeds, args.seed_sd / 100)
    if args.runs and (len(args.runs) != 2 or args.sd is not None):
        raise CurveError("the spread is taken from two runs or from --sd. Give exactly two runs, or none and --sd.")
    if args.runs:
        a, b = map(load, args.runs)
        spreads, note = observed_spreads(a, b), f"Spreads: {a.name} minus {b.name}, as scored."
    elif args.sd is not None:
        spreads, note = [Spread("as given", args.sd / 100)], ""
    else:
        spreads, note = list(TYPICAL), "Spreads: as in this project's simulations. Two scored runs show your own."
    made = power(question, spreads, documents=args.documents, notes=[note] if note else [])
    print(printed(made, args.format, "Documents and seeds"), end="")
    if args.plot:
        from aurac.report.plots.power import save_power

        save_power(made, *args.plot)
    return 0
