"""Flags of the adapter methods, from their fields: one for each name, whichever methods have it."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import MISSING, replace
from typing import Any

from aurac.cli.flags import add_flag, help_text
from aurac.errors import AdapterError, AuracError
from aurac.fields import Option
from aurac.workflows.method_options import method_options

_DEST = "method_option "
"""Before the key in the arguments, so that it meets no other argument; users cannot write it."""


def add_method_flags(parser: argparse._ActionsContainer, *, leave_out: Collection[str] = ()) -> None:
    """Declare the options of all methods that can be trained."""
    for key, owners in _by_key().items():
        if key not in leave_out:
            _add(parser, key, owners)


def method_values(args: argparse.Namespace, name: str, *, strict: bool = True) -> dict[str, Any]:
    """Return field -> value of the flags that were given for a method.

    Args:
        args: What was given.
        name: The method.
        strict: Whether flags of other methods are refused; else they are returned too, for what refuses them later.

    Raises:
        AdapterError: If a flag of another method was given, or one with a value that this method does not take.
    """
    by_key = _by_key()
    given = {key: vars(args)[_DEST + key] for key in by_key if _DEST + key in vars(args)}
    found = {}
    for key, value in given.items():
        if name not in by_key[key] and not strict:
            found[key] = value
            continue
        if name not in by_key[key]:
            others = ", ".join(by_key[key])
            raise AdapterError(f"{_flag(key)} is for method {others}, not for {name}. Leave it out.")
        entry = by_key[key][name]
        found[entry.name] = _read(name, entry, key, value) if _differ(by_key[key]) else value
    for key, owners in by_key.items() if strict else ():
        if name in owners and owners[name].default is MISSING and owners[name].name not in found:
            raise AdapterError(f"method {name} needs {_flag(key)}. Give it.")
    return found


def _by_key() -> dict[str, dict[str, Option]]:
    """Return key -> method -> option."""
    from aurac_adapters.methods import trainable_methods

    found: dict[str, dict[str, Option]] = {}
    for name, method in trainable_methods().items():
        for key, entry in method_options(name, method).items():
            found.setdefault(key, {})[name] = entry
    return found


def _add(parser: argparse._ActionsContainer, key: str, owners: dict[str, Option]) -> None:
    entry = next(iter(owners.values()))
    text = _help(owners)
    if _differ(owners):  # which type it is, is known once the method is
        parser.add_argument(
            _flag(key), dest=_DEST + key, nargs="?", const=True, default=argparse.SUPPRESS, metavar="VALUE", help=text
        )
        return
    flag = add_flag(parser, replace(entry, name=key, metadata={**entry.metadata, "switches": False}), required=False)
    flag.dest, flag.help = _DEST + key, text


def _differ(owners: dict[str, Option]) -> bool:
    """Tell whether a flag stands for different types in different methods."""
    return len({(entry.kinds, entry.choices, entry.default is True) for entry in owners.values()}) > 1


def _read(name: str, entry: Option, key: str, value: Any) -> Any:
    """Return what the text of a flag means for a method; True stands for a flag without a text."""
    if value is True and entry.kinds != (bool,):
        raise AdapterError(f"{_flag(key)} needs a value for method {name}. Give it behind the flag.")
    try:
        return value if value is True else entry.read(value)
    except AuracError as exc:
        raise AdapterError(f"{_flag(key)}: {exc}, which method {name} takes there.") from exc


def _help(owners: dict[str, Option]) -> str:
    """Return whose flag it is, what it means, and the default of each."""
    from aurac_adapters.methods import trainable_methods

    texts: dict[str, list[str]] = {}
    for name, entry in owners.items():
        texts.setdefault(help_text(entry), []).append(name)
    everyone = len(owners) == len(trainable_methods())
    if everyone and len({entry.help for entry in owners.values()}) == 1:
        return _with_defaults(owners)
    return "; ".join(f"{', '.join(names)} only: {text}" for text, names in texts.items())


def _with_defaults(owners: dict[str, Option]) -> str:
    defaults = [entry.default for entry in owners.values()]
    usual = max(defaults, key=defaults.count)
    others = [f"{entry.default} for {name}" for name, entry in owners.items() if entry.default != usual]
    entry = next(iter(owners.values()))
    if not others:
        return help_text(entry)
    meaning = help_text(replace(entry, default=None))
    return f"{meaning} (default: {', '.join(others)}, else {usual})"


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
