"""Make a run record of what lm_eval measured at each rank (--log_samples --output_path), without a new evaluation.

Examples:
  aurac import lm-eval-output --out runs/mine
  aurac import --rank 4=out/r4 --rank 8=out/r8 --out runs/mine --tasks arc --adapter my-adapter
  aurac import lm-eval-output --out runs/mine --tasks arc_challenge@25:acc_norm,gsm8k:exact_match:strict-match

PARENT has one folder a rank, called rank-4 or r4. The record has the score of every document with the hashes of
lm-eval, so `aurac compare` joins it with other runs on the same documents and prompts. TASKS is as for `aurac score`;
shots that are asked for must be those that were run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurac.cli.options import add_integration, integration
from aurac.errors import AuracError, RecordError
from aurac.report.formats import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "parent", nargs="?", metavar="PARENT", type=Path, help="folder with one child a rank: rank-4, r4"
    )
    parser.add_argument(
        "--rank", metavar="R=DIR", action="append", default=[], help="lm_eval's output at rank R; may be given again"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="record folder")
    parser.add_argument("--tasks", help="comma-separated, such as arc or arc_challenge@25:acc_norm (default: all)")
    parser.add_argument(
        "--protocol",
        choices=("standard", "authors"),
        default="standard",
        help="what the short names stand for; authors: the paper's metrics (default: standard)",
    )
    parser.add_argument(
        "--adapter", metavar="ADAPTER_DIR", help="the adapter whose ranks these are; the record then names its weights"
    )
    parser.add_argument(
        "--base",
        metavar="MODEL",
        help="base model, where lm_eval was given merged weights (default: as it says)",
    )
    parser.add_argument(
        "--cluster",
        metavar="FIELD",
        help="field that documents share, such as passage or subject; none (default: passage, context, article ...)",
    )
    parser.add_argument("--method", metavar="NAME", help="method that tables show, where there is no --adapter")
    add_integration(parser)
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Import and print the scores; 1 where a task has no curve."""
    from aurac.harness.exchange.importing import import_lm_eval
    from aurac.harness.protocols import parse_tasks
    from aurac.report.comparison import compare
    from aurac.report.pages.comparison import printed

    folders = _folders(args)
    requests = parse_tasks(args.tasks, protocol=args.protocol) if args.tasks else None
    about: dict[str, Any] = {"adapter": _adapter(args), "base": args.base, "cluster": args.cluster}
    record = import_lm_eval(folders, out=args.out, requests=requests, **about)
    for name, problem in record.problems.items():
        print(f"no curve for {name}: {problem}", file=sys.stderr)
    if record.tasks:
        comparison = compare([record], **integration(args))
        print(printed(comparison, args.format, record.name), end="")
    return 1 if record.problems else 0


def _folders(args: argparse.Namespace) -> Mapping[int, Path]:
    from aurac.harness.exchange.lm_eval_output import rank_folders

    if (args.parent is None) == (not args.rank):
        raise AuracError("give either PARENT, a folder with one child a rank, or --rank R=DIR for each rank.")
    if args.parent is None:
        return _named(args.rank)
    if args.parent.is_file():
        raise RecordError(
            f"{args.parent} is a file. A record needs the score of every document; numbers for each rank alone are "
            f"read by `aurac compute {args.parent}`, which says that their error is not known."
        )
    return rank_folders(args.parent)


def _named(items: list[str]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for item in items:
        rank, _, folder = item.partition("=")
        if not rank.isdecimal() or int(rank) < 1 or not folder:
            raise AuracError(f"--rank {item!r} is not R=DIR. Give for example 4=out/r4.")
        if int(rank) in found:
            raise AuracError(f"--rank {rank} was given twice. Give each rank once.")
        found[int(rank)] = Path(folder)
    return found


def _adapter(args: argparse.Namespace) -> dict[str, Any]:
    if args.adapter is None:
        return {"method": args.method or "unknown"}
    if args.method is not None:
        raise AuracError("--adapter says which method it is. Leave --method out.")
    from aurac.workflows.sweep import adapter_identity
    from aurac_adapters import read_adapter

    return adapter_identity(read_adapter(args.adapter), None)
