"""Kinds of values in a stranger's PEFT configuration, and regular expressions in it that would not come to an end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aurac.errors import AdapterError
from aurac_adapters.layer.expressions import LONGEST, freedom

_KINDS: Mapping[str, tuple[type, ...]] = {
    "base_model_name_or_path": (str,),
    "revision": (str,),
    "rank_pattern": (dict,),
    "alpha_pattern": (dict,),
    "target_modules": (str, list),
    "exclude_modules": (str, list),
    "modules_to_save": (list,),
    "layers_pattern": (str, list),
}
_NAMES: Mapping[type, str] = {str: "a text", dict: "an object of layer names", list: "a list"}
_FREEDOM = 5
# What PEFT puts before and behind an expression of its own: ".*", at most so often.
_BY_PEFT = {"rank_pattern": 1, "alpha_pattern": 1, "layers_pattern": 2, "modules_to_save": 2}


def check_kinds(config: Mapping[str, Any], where: object) -> None:
    """Raise `AdapterError` for a value of the wrong kind, or a regular expression that might never come to an end.

    Args:
        config: PEFT's LoRA configuration as a dictionary.
        where: File or adapter, for the message.
    """
    for name, kinds in _KINDS.items():
        value = config.get(name)
        value = list(value) if isinstance(value, (set, tuple)) else value  # as PEFT has them in memory
        if value is not None and not isinstance(value, kinds):
            wanted = " or ".join(_NAMES[kind] for kind in kinds)
            raise AdapterError(f"{where} has {name} {value!s:.100}; {wanted} is needed. Correct it.")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise AdapterError(f"{where} has {name} {value!s:.100}; a list of texts is needed. Correct it.")
    for name, pattern in _patterns(config):
        _check_pattern(name, pattern, where)


def _patterns(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the option and text of everything that PEFT gives to `re`."""
    for name in ("rank_pattern", "alpha_pattern"):
        yield from ((name, key) for key in config.get(name) or {})
    for name in ("target_modules", "exclude_modules"):
        if isinstance(text := config.get(name), str):  # the names in a list are compared as they are
            yield name, text
    for name in ("layers_pattern", "modules_to_save"):
        value = config.get(name) or ()
        yield from ((name, text) for text in ([value] if isinstance(value, str) else value))


def _check_pattern(name: str, pattern: str, where: object) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise AdapterError(f"{where}: {name} {pattern:.100} is no regular expression: {exc}. Correct it.") from exc
    most = _FREEDOM - _BY_PEFT.get(name, 0)
    if len(pattern) > LONGEST or freedom(pattern) > most:
        raise AdapterError(
            f"{where}: matching {name} {pattern:.100} could take for ever: it repeats a group, repeats or chooses more "
            f"than {most} times, or is longer than {LONGEST}. List the layers' names instead."
        )
