"""Arguments that several subcommands share, and the types of their values."""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path
from typing import Any

from aurac.analysis.grouping import BY
from aurac.analysis.settings import Settings
from aurac.cli.flags import add_flags, given
from aurac.errors import AuracError

_SMALL_MARGIN = 0.05  # points; 0.01, the same as a fraction, is what the library calls one point


def add_integration(parser: argparse.ArgumentParser) -> None:
    """Declare axis, rule and confidence level, as `Settings` has them."""
    add_flags(parser, Settings)


def integration(args: argparse.Namespace) -> dict[str, Any]:
    """Return those of them that were given, arguments of `compute` and `compare`."""
    return given(args, Settings)


def add_by(parser: argparse.ArgumentParser) -> None:
    """Declare what a row is."""
    parser.add_argument(
        "--by", choices=BY, default="run", help="method: runs that differ in their training seed alone are one method"
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Declare by which field documents share a passage."""
    parser.add_argument(
        "--cluster",
        metavar="FIELD",
        help="field that documents share, as scored with; none: each for itself (default: as the record says)",
    )


def rows(arguments: list[str]) -> list[str] | dict[str, list[str]]:
    """Return the runs, or method -> runs where they were given as NAME=RUN,RUN.

    A path may hold an "=": what stands before the first one is a name only if it is no path.
    """
    named = [_is_named(text) for text in arguments]
    if not any(named):
        return arguments
    if not all(named):
        plain = arguments[named.index(False)]
        raise AuracError(f"{plain} has no name, others have. Give every row as NAME=RUN,RUN, or none.")
    pairs = [text.split("=", 1) for text in arguments]
    if len({name for name, _ in pairs}) < len(pairs):
        raise AuracError("a name was given twice. Give all runs of a method at once: NAME=RUN,RUN.")
    found = {name: paths.split(",") for name, paths in pairs}
    if empty := [name for name, paths in found.items() if not name or not all(paths)]:
        raise AuracError(f"'{empty[0]}={','.join(found[empty[0]])}' lacks a name or a run. Give NAME=RUN,RUN.")
    return found


def _is_named(text: str) -> bool:
    return "=" in text and "/" not in text.partition("=")[0] and not Path(text).exists()


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Declare the inference rule and its gain; the rules come from the adapters' table."""
    from aurac_adapters.methods.inference import INFERENCES

    parser.add_argument(
        "--inference",
        type=inference_rule,
        metavar=f"{{{','.join(INFERENCES)}}}",
        help="rule at sub-ranks (default: what the adapter says, else prefix)",
    )
    parser.add_argument(
        "--gain",
        type=positive_number,
        metavar="C",
        help="multiply the served update at every rank (default: the adapter's, 1)",
    )


def inference_rule(text: str) -> str:
    """Read the name of an inference rule, perhaps with a gain ("prefix-gain-4")."""
    from aurac_adapters.methods.inference import split_gain

    try:
        split_gain(text)
    except AuracError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    return text


def positive_number(text: str) -> float:
    """Read a positive number."""
    return _positive(text, "is not a positive number")


def rank_list(text: str) -> tuple[int, ...]:
    """Read "1,2,4"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of ranks such as 1,2,4") from None


def number_list(text: str) -> tuple[float, ...]:
    """Read "0.1,0.5,1"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0.1,0.5,1") from None


def padding(text: str) -> int | str:
    """Read a rank, or "max"."""
    if text != "max" and not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a rank nor max")
    return text if text == "max" else int(text)


def document_counts(text: str) -> tuple[int, ...]:
    """Read "1172,10042"."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of documents such as 1172,10042")
    return tuple(int(part) for part in text.split(","))


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
    value = _number(text)
    if not 0 < value < 1:
        hint = f"; {value:g} % is {value / 100:g}" if 1 <= value < 100 else ""
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, both excluded{hint}")
    return value


def points(text: str) -> float:
    """Read a positive number of points."""
    return _positive(text, "is no number of points above 0, such as 1 or 0.5")


def margin(text: str) -> float:
    """Read a margin in points; one that is too small to be meant so is remarked on."""
    value = points(text)
    if value <= _SMALL_MARGIN:
        warnings.warn(
            f"--margin counts points of 100: {text} is {value / 100:g} of them all. One point is 1.", stacklevel=2
        )
    return value


def points_of_accuracy(text: str) -> float:
    """Read a number of points above 0 and up to 100."""
    value = points(text)
    if value > 100:
        raise argparse.ArgumentTypeError(f"{text} is more than the 100 points between an accuracy of 0 and of 1")
    return value


def spread(text: str) -> float:
    """Read a standard deviation in points, 0 or more."""
    value = _number(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no standard deviation in points, from 0 to 100, such as 30")
    return value


def task_names(text: str) -> list[str]:
    """Read "arc,hellaswag"."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of tasks such as arc,hellaswag")
    return names


def _positive(text: str, otherwise: str) -> float:
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} {otherwise}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
