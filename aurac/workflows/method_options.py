"""The options of adapter methods: their fields, under the names that flags and recipes know them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurac.fields import Option, options_of
from aurac.workflows.training import training_options

_DECIDED = ("max_rank", "seed")
"""Fields of every method that the rank and the seed of a training decide."""


def method_options(name: str, method: type) -> dict[str, Option]:
    """Return key -> option for the fields of a method.

    The key is the field's name; where a training has an option of this name, the method's own name stands before it.
    """
    taken = {*training_options(), "method", "rank", "inference"}
    own = options_of(method, leave_out=_DECIDED)
    prefix = name.replace("-", "_")
    return {f"{prefix}_{field}" if field in taken else field: entry for field, entry in own.items()}


def as_fields(name: str, method: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return field -> value for key -> value, each as the field holds it.

    Raises:
        OptionError: For a value that the field cannot have; the message does not name the key.
    """
    known = method_options(name, method)
    return {known[key].name: known[key].fit(value) for key, value in values.items()}
