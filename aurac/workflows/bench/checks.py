"""Checks of what a recipe says, with errors that name the section and the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aurac.errors import OptionError, RecipeError, UnknownNameError
from aurac.fields import Option

Values = Mapping[str, Any]


def check_values(where: str, values: Values, known: Mapping[str, Option]) -> None:
    """Raise `RecipeError` for a value that its option cannot have."""
    for key, value in values.items():
        try:
            known[key].fit(value)
        except OptionError as exc:
            raise RecipeError(f"[{where}] {key}: {exc}.") from exc


def check_keys(where: str, values: Any, known: Iterable[str], *, required: Iterable[str] = ()) -> None:
    """Raise `UnknownNameError` for a key that is not known, `RecipeError` where one is missing."""
    place = f"[{where}]" if where else "the recipe"
    for key in table_of(where or "recipe", values):
        if key not in (allowed := tuple(known)):
            raise UnknownNameError("key", key, allowed, of=f"in {place}")
    if missing := [key for key in required if key not in values]:
        raise RecipeError(f"{place} lacks {', '.join(missing)}.")


def table_of(where: str, value: Any) -> Values:
    """Return a table, or raise `RecipeError` if it is none, or empty where it may not be."""
    if not isinstance(value, dict) or (not value and where in ("suites", "data", "methods")):
        raise RecipeError(f"[{where}] is {value!r}; it must be a table with at least one entry.")
    return value


def list_of(where: str, value: Any, kind: type) -> tuple[Any, ...]:
    """Return one value or several as a tuple, or raise `RecipeError` unless all are of this kind and each is once."""
    values = value if isinstance(value, list) else [value]
    if not values or len(set(map(repr, values))) < len(values) or any(type(item) is not kind for item in values):
        what = {str: "texts", int: "whole numbers"}[kind]
        raise RecipeError(f"{where} is {value!r}; it must be a list of {what}, each once.")
    return tuple(values)
