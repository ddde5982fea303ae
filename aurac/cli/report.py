"""Write the leaderboard of all run records below a folder: tables, ranks to deploy, provenance, plots.

Examples:
  aurac report results/
  aurac report results/ --out leaderboard.html
  aurac report results/ --out results/LEADERBOARD.md --out leaderboard.html --baseline lora

Records are grouped by the folder that they lie in (results/SUITE/RUN), by base model, and by how they were measured;
only runs of a group are compared. The same records give the same page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.cli.options import add_integration, integration, margin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder with run records below it")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        action="append",
        help="page to write (.md, .html); may be given again (default: FOLDER/LEADERBOARD.md)",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        help="run or method that others are compared with, where a group has it once (default: lora, else the first)",
    )
    parser.add_argument(
        "--margin",
        type=margin,
        default=1.0,
        metavar="POINTS",
        help="of the rank to deploy, beside 1, 2 and 5 (default: 1.0)",
    )
    add_integration(parser)


def run(args: argparse.Namespace) -> int:
    """Write the pages and print their names."""
    from aurac.analysis.collection import collect
    from aurac.report.pages.leaderboard import check_baseline, leaderboard_page
    from aurac.report.pages.page import check_page, write_page

    pages = args.out or [args.folder / "LEADERBOARD.md"]
    for path in pages:
        check_page(path)
    suites = collect(args.folder)
    if args.baseline is not None:
        check_baseline(suites, args.baseline)
    blocks = leaderboard_page(
        suites,
        baseline=args.baseline or "lora",
        margin=args.margin / 100,
        **integration(args),
    )
    for path in pages:
        write_page(blocks, path)
        print(path)
    return 0
