"""Flags from the fields of a dataclass: `--batch-size` for `batch_size`, with its type, its choices and its meaning.

A flag that is not given leaves no trace in the arguments, so that the dataclass decides what is then the case.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_origin

from aurac.errors import AuracError
from aurac.fields import Option, options_of


def add_flags(parser: argparse._ActionsContainer, cls: type, *, leave_out: Iterable[str] = ()) -> None:
    """Declare a flag for every option of a dataclass."""
    for entry in options_of(cls, leave_out=leave_out).values():
        if entry.metadata.get("switches"):
            _add_switches(parser, entry)
        else:
            add_flag(parser, entry)


def given(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """Return field -> value of the flags of a dataclass that were given."""
    return {name: getattr(args, name) for name in options_of(cls) if hasattr(args, name)}


def add_flag(parser: argparse._ActionsContainer, entry: Option, *, required: bool | None = None) -> argparse.Action:
    """Declare the flag of one option.

    Args:
        parser: The parser, or a group of it.
        entry: The option.
        required: Whether it must be given; by default where it has no default.
    """
    shared: dict[str, Any] = {"help": help_text(entry), "default": argparse.SUPPRESS, "dest": entry.name}
    shared["required"] = entry.default is MISSING if required is None else required
    names = (entry.flag, *([entry.metadata["also"]] if "also" in entry.metadata else []))
    if entry.kinds == (bool,):
        action: Any = argparse.BooleanOptionalAction if entry.default is True else "store_true"
        return parser.add_argument(*names, action=action, **shared)
    if entry.kinds[0] is bool:  # alone it means yes, with a text that text
        return parser.add_argument(*names, nargs="?", const=True, metavar=metavar(entry), **shared)
    if entry.choices is not None:
        return parser.add_argument(*names, choices=entry.choices, type=_type(entry), **shared)
    return parser.add_argument(*names, type=_type(entry), metavar=metavar(entry), **shared)


def help_text(entry: Option) -> str:
    """Return the meaning as the help says it, with the default where the meaning does not tell it."""
    text = entry.help.replace("`", "")
    text = text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
    untold = entry.default is MISSING or entry.default in (None, ()) or isinstance(entry.default, bool)
    says = "default:" in text.lower() or untold
    return (text if says else f"{text} (default: {_plain(entry.default)})").replace("%", "%%")


def metavar(entry: Option) -> str:
    """Return what stands for the value in the help."""
    kind = next(kind for kind in entry.kinds if kind is not bool)
    known = {int: "N", float: "X", str: "TEXT", Path: "DIR"}
    if "metavar" in entry.metadata:
        chosen = entry.metadata["metavar"]
        return str(chosen() if callable(chosen) else chosen)
    lists = "1,2,..." if int in getattr(kind, "__args__", ()) else "a,b"
    return known.get(kind, lists if get_origin(kind) is not None else "N")


def _type(entry: Option) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return entry.read(text)
        except AuracError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    return read


def _add_switches(parser: argparse._ActionsContainer, entry: Option) -> None:
    group = parser.add_mutually_exclusive_group()
    for choice in entry.choices or ():
        group.add_argument(
            f"{entry.flag}-{choice}",
            dest=entry.name,
            action="store_const",
            const=choice,
            default=argparse.SUPPRESS,
            help=f"{help_text(entry)}: {choice}",
        )


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
