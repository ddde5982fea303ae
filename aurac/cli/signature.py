"""Print signatures, and say which keys make two scores incomparable.

Examples:
  aurac signature runs/lora
  aurac signature runs/lora runs/matryoshka --task arc
  aurac signature "AURAC|axis:log2|rule:trap|ranks:1-2-4|version:0.1.0" runs/lora/leaderboard.md

A SOURCE is a run record, a curve (.csv, .json), a signature line, or a text file that holds such lines. With two or
more sources the first is compared with each of the others. Exit status: 0 comparable, 1 not.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aurac.analysis.costs import axis_names
from aurac.analysis.settings import rule_names
from aurac.report.formats.json import json_text

if TYPE_CHECKING:
    from aurac.analysis.comparability import Comparability
    from aurac.signature import Signature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="record, curve, signature line, or file of them")
    parser.add_argument("--task", help="only this task of run records")
    parser.add_argument("--axis", choices=axis_names(), default="log2", help="of records and curves (default: log2)")
    parser.add_argument(
        "--rule", choices=rule_names(), default="trapezoid", help="of records and curves (default: trapezoid)"
    )
    parser.add_argument("--short", action="store_true", help="abbreviated keys, for narrow tables")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(args: argparse.Namespace) -> int:
    """Print signatures and differing keys; 1 if two sources are not comparable."""
    from aurac.analysis.comparability import compare_signatures, signatures
    from aurac.report.width import fold_text

    found = [(s, signatures(s, axis=args.axis, rule=args.rule, task=args.task)) for s in args.sources]
    verdicts = [compare_signatures(found[0], other) for other in found[1:]]
    if args.format == "json":
        print(json_text(_content(found, verdicts)), end="")
    else:
        parts = [*(_text(name, lines, args.short) for name, lines in found), *map(_verdict, verdicts)]
        print(fold_text("\n\n".join(parts) + "\n"), end="")
    return 0 if all(verdict.comparable for verdict in verdicts) else 1


def _text(name: str, found: Mapping[str, Signature], short: bool) -> str:
    lines = [signature.short() if short else str(signature) for signature in found.values()]
    return "\n".join(lines if name in lines else [name, *lines])


def _verdict(verdict: Comparability) -> str:
    return f"{verdict.first} and {verdict.second}\n{verdict}"


def _content(found: list[tuple[str, dict[str, Signature]]], verdicts: list[Comparability]) -> dict[str, Any]:
    return {
        "signatures": [{"source": name, "tasks": {t: str(s) for t, s in lines.items()}} for name, lines in found],
        "comparisons": [{**asdict(verdict), "comparable": verdict.comparable} for verdict in verdicts],
    }
