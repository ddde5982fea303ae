"""Options are the fields of dataclasses: name, type, default and meaning, written once.

The command line makes flags of them and a recipe keys; a dataclass checks itself with `check_fields`. The meaning is
the field's entry under "Attributes:" in the docstring. A field that is no option says so: `metadata={"option": False}`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from aurac.errors import OptionError, UnknownNameError


class _NotOfThisKind(Exception):
    """A value that is none of one of an option's types; another one may take it."""


_LISTS = (tuple, list, Sequence)


@dataclass(frozen=True)
class Option:
    """A field as an option.

    Attributes:
        name: Of the field, as Python and recipes write it.
        kinds: The types that a value may have, without None: bool, int, float, str, Path, Literal, lists of them.
        default: `dataclasses.MISSING` where a value must be given.
        meaning: One sentence, or a function that returns it.
        metadata: Of the field: "choices" (a function that returns names), "minimum" (of a number), "check" (a function
            that raises an error for a value that cannot be), "metavar", "read" (a function from the text of a flag to
            the value), "switches" (True: a flag for each choice), "called" (what messages call its values), "help"
            (instead of the docstring: a text, or a function that returns one), "flag" (instead of the name's), "also"
            (another flag for the same).
    """

    name: str
    kinds: tuple[Any, ...]
    default: Any
    meaning: str | Callable[[], str]
    metadata: Mapping[Any, Any]

    @property
    def flag(self) -> str:
        """The flag of the command line: `--batch-size` for `batch_size`, unless the field names another."""
        return str(self.metadata.get("flag") or f"--{self.name.replace('_', '-')}")

    @property
    def help(self) -> str:
        """What it means, in one sentence without a full stop."""
        return self.meaning if isinstance(self.meaning, str) else self.meaning()

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The values that are allowed, where they are all known."""
        if "choices" in self.metadata:
            return tuple(self.metadata["choices"]())
        if all(get_origin(kind) is Literal for kind in self.kinds):
            return tuple(choice for kind in self.kinds for choice in get_args(kind))
        return None

    @property
    def is_list(self) -> bool:
        """Whether its values may be lists."""
        return any(get_origin(kind) in _LISTS for kind in self.kinds)

    def read(self, text: str) -> Any:
        """Return the value that a text on the command line stands for.

        Raises:
            OptionError: If it stands for none; the message does not name the option.
        """
        if "read" in self.metadata:
            return self.metadata["read"](text)
        for kind in self.kinds:
            try:
                return self._checked(_value(kind, text))
            except _NotOfThisKind:
                continue
        raise OptionError(f"{text!r} is {self._no()}")

    def fit(self, value: Any) -> Any:
        """Return the value as the field holds it: lists as tuples, whole numbers as floats where it is a float.

        Raises:
            OptionError: If it is no value of this option; the message does not name the option.
            UnknownNameError: If it is none of the choices.
        """
        if value is None and self.default is None:
            return None
        if self.choices is not None and value not in self.choices:
            called = self.metadata.get("called", self.name)
            raise UnknownNameError(called, str(value), map(str, self.choices))
        for kind in self.kinds:
            try:
                return self._checked(_fitted(kind, value))
            except _NotOfThisKind:
                continue
        raise OptionError(f"{value!r} is {self._no()}")

    def _checked(self, value: Any) -> Any:
        minimum = self.metadata.get("minimum")
        if minimum is not None and isinstance(value, int) and value < minimum:
            raise _NotOfThisKind
        if "check" in self.metadata:
            self.metadata["check"](value)
        return value

    def _no(self) -> str:
        """Say what a value is not."""
        if self.choices is not None:
            return f"none of {', '.join(map(str, self.choices))}"
        if self.kinds == (bool,):
            return "neither true nor false"
        phrases = [_phrase(kind, self.metadata.get("minimum"), self.name) for kind in self.kinds]
        if len(phrases) == 1:
            return f"no {phrases[0]}"
        articles = ["" if kind is bool or get_origin(kind) is Literal else "a " for kind in self.kinds]
        return "neither " + " nor ".join(a + phrase for a, phrase in zip(articles, phrases, strict=True))


def options_of(cls: type, *, leave_out: Iterable[str] = ()) -> dict[str, Option]:
    """Return name -> option for the fields of a dataclass that are options.

    A field of another type than those that text and TOML can hold has no option; such a field is set in Python.
    """
    hidden = set(leave_out)
    return {name: entry for name, entry in _options_of(cls).items() if name not in hidden}


@cache
def _options_of(cls: type) -> dict[str, Option]:
    found = {field.name: _option(cls, field) for field in dataclasses.fields(cls) if field.init}
    return {name: entry for name, entry in found.items() if entry.kinds and entry.metadata.get("option", True)}


def check_fields(instance: Any, *, leave_out: Iterable[str] = ()) -> None:
    """Make the options of a frozen dataclass what their types say, or refuse them; for `__post_init__`.

    Args:
        instance: The dataclass.
        leave_out: Fields that it checks itself.

    Raises:
        OptionError: For a value of another type.
        UnknownNameError: For a value that is none of the choices.
    """
    for name, entry in options_of(type(instance), leave_out=leave_out).items():
        try:
            object.__setattr__(instance, name, entry.fit(getattr(instance, name)))
        except OptionError as exc:
            raise OptionError(f"{name}: {exc}.") from exc


def _option(cls: type, field: dataclasses.Field[Any]) -> Option:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    # A subclass that gives a field another default does not say again what the field means.
    inherited = [vars(base).get("__dataclass_fields__", {}).get(field.name) for base in reversed(cls.__mro__)]
    metadata = {key: value for given in inherited if given is not None for key, value in given.metadata.items()}
    meaning = metadata.get("help") or _meaning(cls, field.name)
    return Option(field.name, _kinds(_type_of(cls, field)), default, meaning, metadata)


def _type_of(cls: type, field: dataclasses.Field[Any]) -> Any:
    """Return the type of a field, whose name is looked up where the class that declares it was written."""
    owner = next(base for base in cls.__mro__ if field.name in inspect.get_annotations(base))
    scope = vars(sys.modules[owner.__module__])
    try:
        return get_type_hints(type("_", (), {"__annotations__": {field.name: field.type}}), scope)[field.name]
    except (NameError, AttributeError, SyntaxError):  # a name that only a type checker imports
        return None


def _kinds(annotation: Any) -> tuple[Any, ...]:
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    kinds = tuple(member for member in members if member is not type(None))
    return kinds if all(map(_is_known, kinds)) else ()


def _is_known(kind: Any) -> bool:
    if get_origin(kind) in _LISTS:
        return get_args(kind)[0] in (int, float, str)
    return kind in (bool, int, float, str, Path) or get_origin(kind) is Literal


def _value(kind: Any, text: str) -> Any:
    """Return what a text stands for, or raise `_NotOfThisKind`."""
    if get_origin(kind) in _LISTS:
        (of,) = {*get_args(kind)} - {...}
        return tuple(_value(of, part.strip()) for part in text.split(",") if part.strip() or of is not str)
    if get_origin(kind) is Literal or kind is bool:
        words = {"true": True, "false": False} if kind is bool else {str(choice): choice for choice in get_args(kind)}
        return words[text] if text in words else _refuse()
    try:
        value = kind(text)
    except ValueError:
        return _refuse()
    return _refuse() if value != value else value  # NaN is no value of an option


def _fitted(kind: Any, value: Any) -> Any:
    """Return a value as this type has it, or raise `_NotOfThisKind`."""
    if get_origin(kind) in _LISTS:
        if isinstance(value, str) or not isinstance(value, Iterable):
            return _refuse()
        return tuple(_fitted(get_args(kind)[0], part) for part in value)
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else _refuse()
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else _refuse()
    if kind is int:
        return value.__index__() if hasattr(value, "__index__") else _refuse()
    if kind is float:
        return float(value) if isinstance(value, (int, float)) or hasattr(value, "__float__") else _refuse()
    return kind(value) if isinstance(value, (str, Path)) else _refuse()


def _refuse() -> Any:
    raise _NotOfThisKind


def _phrase(kind: Any, minimum: int | None, name: str) -> str:
    if get_origin(kind) in _LISTS:
        numbers = "ranks" if "ranks" in name else "whole numbers"
        lists = {int: f"{numbers} such as 1,2,4", float: "numbers such as 0.5,1", str: "names such as a,b"}
        return f"list of {lists[get_args(kind)[0]]}"
    if get_origin(kind) is Literal:
        return " nor ".join(str(choice) for choice in get_args(kind))
    number = "whole number" if minimum is None else f"number from {minimum}"
    return {bool: "true, false", int: number, float: "number", str: "text", Path: "path"}[kind]


def _meaning(cls: type, name: str) -> str:
    """Return the first sentence about a field in the docstring of the class that says something about it."""
    entries = (_attributes(base.__doc__ or "").get(name) for base in cls.__mro__)
    text = next(filter(None, entries), "")
    return re.split(r"(?<=\w\))?\. (?=[A-Z])", text)[0].removesuffix(".")


def _attributes(docstring: str) -> dict[str, str]:
    _, _, section = inspect.cleandoc(docstring).partition("\nAttributes:\n")
    section = re.split(r"\n(?=\S)", section)[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
