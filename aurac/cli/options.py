"""Arguments that several subcommands share, and the types of their values."""

from __future__ import annotations

import argparse

from aurac.quadrature import AXES, RULES
from aurac.report.grouping import BY

WITHOUT_PRIOR = tuple(rule for rule in RULES if rule != "prior")


def add_integration(parser: argparse.ArgumentParser) -> None:
    """Declare axis, rule and confidence level."""
    parser.add_argument("--axis", choices=tuple(AXES), default="log2", help="what is integrated over (default: log2)")
    parser.add_argument("--rule", choices=WITHOUT_PRIOR, default="trapezoid", help="default: trapezoid")
    parser.add_argument(
        "--confidence-level", type=fraction, default=0.95, metavar="P", help="of the intervals (default: 0.95)"
    )


def add_by(parser: argparse.ArgumentParser) -> None:
    """Declare what a row is."""
    parser.add_argument(
        "--by", choices=BY, default="run", help="method: runs that differ in their training seed alone are one method"
    )


def rank_list(text: str) -> tuple[int, ...]:
    """Read "1,2,4"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of ranks such as 1,2,4") from None


def batch_size(text: str) -> int | str:
    """Read a number from 1, or "auto"."""
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 nor auto")
    return int(text)


def positive(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def fraction(text: str) -> float:
    """Read a number between 0 and 1, both excluded."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
