"""The methods of a recipe: those that are trained, each with a grid of settings, and those that are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from aurac.errors import RecipeError, UnknownNameError
from aurac.fields import Option
from aurac.workflows.bench.checks import Values, check_keys, check_values, list_of, table_of
from aurac.workflows.method_options import method_options
from aurac.workflows.training import training_options

ROTATED = "svd-lora"
"""A method that is made from the adapter of another one, with the same setting and seed."""
GRID = "grid-lora"
"""A plain LoRA for every rank that is scored: what a nested adapter replaces."""
SQUEEZED = "squeeze-lora"
"""For every rank that is scored, another method's adapter truncated to it and trained on for some steps."""
_DERIVED = (ROTATED, SQUEEZED)

_STUDIED = ("model", "data", "out", "seed", "start")
"""Options of a training that other keys of the recipe decide."""


@dataclass(frozen=True)
class Setting:
    """One cell of a method's grid: learning rate, scaling, and what else the recipe gives for it.

    Attributes:
        values: Key -> value, in the order of the recipe.
        source: The setting of the adapter that this one begins with, where it does.
    """

    values: Values
    source: Setting | None = None

    @property
    def name(self) -> str:
        """The name of its folder.

        Example:
            >>> Setting({"scaling": "sqrt", "learning_rate": 0.01, "normalize": True}).name
            'sqrt-0.01-normalize'
        """
        own = (_value_name(key, value) for key, value in self.values.items() if value is not False)
        return "-".join((*([self.source.name] if self.source else []), *own))


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method of a recipe.

    Attributes:
        name: What tables and folders call it.
        method: A method that is trained, "svd-lora", "grid-lora" or "squeeze-lora"; the name, unless the recipe says
            another.
        settings: Its grid, in the order of the recipe.
        inferences: The rules that it is scored under; (None,) for its own.
        source: Name of the method that it is made from, where it is not trained from the base model.
        allocate: Of a rotated one: how a budget is shared out over its layers. Unless uniform, it is scored at budgets.
        calibrate: Of a rotated one: file of the text that weights the rotation.
        gradual: Of a squeezed one: each rank begins with the next larger one, instead of with the first adapter.
    """

    name: str
    method: str
    settings: tuple[Setting, ...]
    inferences: tuple[str | None, ...] = (None,)
    source: str | None = None
    allocate: str = "uniform"
    calibrate: str | None = None
    gradual: bool = False


def shared_options() -> dict[str, Option]:
    """Return the options of a training that `[training]`, `[data.NAME]` and `[methods.NAME]` may give."""
    return {key: entry for key, entry in training_options().items() if key not in _STUDIED}


def method_specs(tables: Values) -> tuple[MethodSpec, ...]:
    """Return the methods of the section `[methods]`, in its order.

    Raises:
        RecipeError: For a value that cannot be used.
        UnknownNameError: For a method, key or rule that does not exist.
    """
    from aurac_adapters.methods import trainable_methods

    known = [*trainable_methods(), *_DERIVED, GRID]
    kinds = {name: table_of(f"methods.{name}", values).get("method", name) for name, values in tables.items()}
    for name, method in kinds.items():
        if method not in known:
            raise UnknownNameError("method", str(method), known)
        if method == GRID and name != GRID:
            raise RecipeError(f"[methods.{name}] is a {GRID}; there is one of it, called {GRID}.")
    specs = {
        name: _trained(name, kinds[name], values, is_grid=name == GRID)
        for name, values in tables.items()
        if kinds[name] not in _DERIVED
    }
    sources = {name: spec for name, spec in specs.items() if name != GRID}
    make = {ROTATED: _rotated, SQUEEZED: _squeezed}
    for name in (name for name, method in kinds.items() if method in _DERIVED):
        specs[name] = make[kinds[name]](name, tables[name], sources)
    return tuple(specs[name] for name in tables)


def _source(name: str, values: Values, sources: Mapping[str, MethodSpec]) -> MethodSpec:
    source = values.get("from", "lora")
    if source not in sources:
        advice = "It needs a table of its own."
        raise UnknownNameError(f"method that {name} is made from", str(source), sources, advice=advice)
    return sources[source]


def _rotated(name: str, values: Values, sources: Mapping[str, MethodSpec]) -> MethodSpec:
    from aurac_adapters.methods.allocation import ALLOCATIONS

    check_keys(f"methods.{name}", values, ("from", "method", "allocate", "calibrate"))
    source, allocate, calibrate = _source(name, values, sources), values.get("allocate", "uniform"), None
    if allocate not in ALLOCATIONS:
        raise UnknownNameError("allocation", str(allocate), ALLOCATIONS)
    if "calibrate" in values:
        calibrate = values["calibrate"]
        if not isinstance(calibrate, str) or not Path(calibrate).is_file():
            raise RecipeError(f"[methods.{name}] calibrate is {calibrate!r}; it must be a file of plain text.")
    about = {"settings": source.settings, "source": source.name, "allocate": allocate, "calibrate": calibrate}
    return MethodSpec(name=name, method=ROTATED, **about)


def _squeezed(name: str, values: Values, sources: Mapping[str, MethodSpec]) -> MethodSpec:
    known, about = grid_options("lora"), ("from", "method", "gradual")
    check_keys(f"methods.{name}", values, (*known, *about))
    source, gradual = _source(name, values, sources), values.get("gradual", False)
    if not isinstance(gradual, bool):
        raise RecipeError(f"[methods.{name}] gradual is {gradual!r}; it must be true or false.")
    if "max_steps" not in values:
        raise RecipeError(f"[methods.{name}] lacks max_steps, the steps that follow the truncation.")
    own = _settings(name, {key: value for key, value in values.items() if key not in about}, known)
    settings = tuple(Setting(each.values, source=begun) for begun in source.settings for each in own)
    return MethodSpec(name=name, method=SQUEEZED, settings=settings, source=source.name, gradual=gradual)


def _trained(name: str, kind: str, values: Values, *, is_grid: bool) -> MethodSpec:
    from aurac_adapters.methods.inference import split_gain

    known = grid_options("lora" if is_grid else kind)
    about = ("method", *(() if is_grid else ("inference",)))
    check_keys(f"methods.{name}", values, (*known, *about))
    settings = _settings(name, {key: value for key, value in values.items() if key not in about}, known)
    if settings == (Setting({}),):
        raise RecipeError(f"[methods.{name}] is empty. Give it at least a learning_rate.")
    inferences: tuple[str | None, ...] = (None,)
    if "inference" in values:
        inferences = list_of(f"methods.{name}.inference", values["inference"], str)
        for rule in inferences:
            split_gain(str(rule))
    return MethodSpec(name=name, method=kind, settings=settings, inferences=inferences)


def _settings(name: str, values: Values, known: Mapping[str, Option]) -> tuple[Setting, ...]:
    """Return the grid of a method: every combination of the values that it gives for its options."""
    axes = {key: _axis(known[key], value) for key, value in values.items()}
    for key, choices in axes.items():
        for choice in choices:
            check_values(f"methods.{name}", {key: choice}, known)
    for key, choices in axes.items():
        if not choices or len({repr(choice) for choice in choices}) < len(choices):
            raise RecipeError(f"[methods.{name}] {key} is {choices}; give at least one value, each once.")
    return tuple(Setting(dict(zip(axes, cell, strict=True))) for cell in product(*axes.values()))


def grid_options(method: str) -> dict[str, Option]:
    """Return key -> option for what the grid of a method may vary: options of the training, and its own fields."""
    from aurac_adapters.methods import trainable_methods

    own = method_options(method, trainable_methods()[method])
    return shared_options() | {key: entry for key, entry in own.items() if key != "train_ranks"}


def _axis(entry: Option, value: Any) -> list[Any]:
    """Return the values of one axis of a grid; a list is an axis, for a field that is a list a list of lists is."""
    if not isinstance(value, list):
        return [value]
    is_axis = not entry.is_list or any(isinstance(item, list) for item in value)
    return value if is_axis else [value]


def _value_name(key: str, value: Any) -> str:
    if value is True:
        return key
    if isinstance(value, list):
        value = "-".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if key in ("learning_rate", "scaling") else f"{key}-{text}"
