"""A recipe: the TOML file that says what a benchmark trains and scores. docs/benchmark.md explains every key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from aurac.errors import AuracError, OptionError, RecipeError, UnknownNameError
from aurac.fields import Option, options_of
from aurac.workflows.method_options import method_options
from aurac.workflows.options import ScoreOptions
from aurac.workflows.training import training_options

Values = Mapping[str, Any]

ROTATED = "svd-lora"
"""A method that is made from the adapter of another one, with the same setting and seed."""
GRID = "grid-lora"
"""A plain LoRA for every rank that is scored: what a nested adapter replaces."""

_TOP = (
    *("models", "ranks", "train_ranks", "eval_ranks", "seeds", "choice_seeds"),
    *("training", "scoring", "suites", "data", "methods"),
)
_PLANNED = ("tasks", "base", "out", "ranks", "inference", "gain")
"""Options of a scoring that other keys of the recipe decide."""
_STUDIED = ("model", "data", "out", "seed")
"""Options of a training that other keys of the recipe decide."""


@dataclass(frozen=True)
class Setting:
    """One cell of a method's grid: learning rate, scaling, and what else the recipe gives for it.

    Attributes:
        values: Key -> value, in the order of the recipe.
    """

    values: Values

    @property
    def name(self) -> str:
        """The name of its folder.

        Example:
            >>> Setting({"scaling": "sqrt", "learning_rate": 0.01, "normalize": True}).name
            'sqrt-0.01-normalize'
        """
        return "-".join(_value_name(key, value) for key, value in self.values.items() if value is not False)


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method of a recipe.

    Attributes:
        name: What tables and folders call it.
        method: A method that is trained, "svd-lora" or "grid-lora"; the name, unless the recipe says another.
        settings: Its grid, in the order of the recipe.
        inferences: The rules that it is scored under; (None,) for its own.
        source: Name of the method that it is made from, where it is not trained.
    """

    name: str
    method: str
    settings: tuple[Setting, ...]
    inferences: tuple[str | None, ...] = (None,)
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Training data of a recipe.

    Attributes:
        name: What folders call it.
        source: A named set, or a JSONL file.
        suites: Names of the suites that adapters trained on it are scored on.
        training: Settings of the training that hold for these data only.
        selection: Name of the suite that decides the choice and is scored for nothing else; None to let the first of
            `suites` decide.
    """

    name: str
    source: str
    suites: tuple[str, ...]
    training: Values
    selection: str | None = None

    @property
    def deciding(self) -> str:
        """The suite that decides the choice."""
        return self.selection or self.suites[0]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe, checked.

    Attributes:
        models: Base models.
        ranks: Maximal ranks.
        train_ranks: Sub-ranks that nested methods train; those up to the maximal rank are taken; None for the default.
        eval_ranks: Ranks that are scored, likewise.
        seeds: Seeds of the trainings.
        choice_seeds: How many of them, from the first one on, decide the choice.
        data: Training data.
        methods: Methods with their grids.
        suites: Name -> text of `--tasks`.
        training: Settings of all trainings.
        scoring: Options of `aurac score`, the same for all.
    """

    models: tuple[str, ...]
    ranks: tuple[int, ...]
    train_ranks: tuple[int, ...] | None
    eval_ranks: tuple[int, ...] | None
    seeds: tuple[int, ...]
    choice_seeds: int
    data: tuple[DataSpec, ...]
    methods: tuple[MethodSpec, ...]
    suites: Mapping[str, str]
    training: Values
    scoring: Values

    def fixed(self) -> dict[str, Any]:
        """Return what a folder of results may not change; methods, seeds, models and ranks may be added to it."""
        data = {
            spec.name: {
                "source": spec.source,
                "suites": spec.suites,
                **({"selection": spec.selection} if spec.selection else {}),
                **spec.training,
            }
            for spec in self.data
        }
        flat: dict[str, Any] = {"train_ranks": self.train_ranks, "eval_ranks": self.eval_ranks, "seed": self.seeds[0]}
        if self.choice_seeds > 1:
            flat["seeds of the choice"] = self.seeds[: self.choice_seeds]
        for section, values in (("training", self.training), ("scoring", self.scoring), ("suites", self.suites)):
            flat |= {f"{section}.{key}": value for key, value in values.items()}
        return flat | {f"data.{name}.{key}": value for name, keys in data.items() for key, value in keys.items()}


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: If the file is missing or no TOML, a key is missing, or a value cannot be used.
        UnknownNameError: For a key, method, suite or rule that does not exist; the message has the near names.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no such recipe: {path}. Give a TOML file, such as those in benchmarks/recipes.") from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder. Give a TOML file, such as those in benchmarks/recipes.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise RecipeError(f"{path} is no TOML file: {exc}.") from exc
    try:
        return _recipe(content)
    except UnknownNameError as exc:
        raise RecipeError(f"{path}: {exc}") from exc
    except RecipeError as exc:
        raise RecipeError(f"{path}: {exc}") from exc


def score_options(scoring: Values, **planned: Any) -> ScoreOptions:
    """Return the options of a scoring: the section `[scoring]`, and what the plan says."""
    checked = {}
    for key, entry in scoring_options().items():
        if key in scoring:
            try:
                checked[key] = entry.fit(scoring[key])
            except AuracError as exc:
                raise RecipeError(f"[scoring] cannot be used: argument {entry.flag}: {exc}.") from exc
    return ScoreOptions(**checked, **planned)


def shared_options() -> dict[str, Option]:
    """Return the options of a training that `[training]`, `[data.NAME]` and `[methods.NAME]` may give."""
    return {key: entry for key, entry in training_options().items() if key not in _STUDIED}


def scoring_options() -> dict[str, Option]:
    """Return the options of a scoring that `[scoring]` may give."""
    return options_of(ScoreOptions, leave_out=_PLANNED)


def _recipe(content: Values) -> Recipe:
    _check_keys("", content, _TOP, required=("models", "ranks", "seeds", "suites", "data", "methods"))
    training, scoring = content.get("training", {}), content.get("scoring", {})
    _check_keys("training", training, shared_options())
    _check_values("training", training, shared_options())
    _check_keys("scoring", scoring, scoring_options())
    suites = dict(_table("suites", content["suites"]))
    data = tuple(_data(name, values, suites) for name, values in _table("data", content["data"]).items())
    methods = _methods(_table("methods", content["methods"]))
    seeds = _list("seeds", content["seeds"], int)
    recipe = Recipe(
        models=_list("models", content["models"], str),
        ranks=_list("ranks", content["ranks"], int),
        train_ranks=_list("train_ranks", content["train_ranks"], int) if "train_ranks" in content else None,
        eval_ranks=_list("eval_ranks", content["eval_ranks"], int) if "eval_ranks" in content else None,
        seeds=seeds,
        choice_seeds=_choice_seeds(content.get("choice_seeds", 1), len(seeds)),
        data=data,
        methods=methods,
        suites=suites,
        training=training,
        scoring=scoring,
    )
    for name, tasks in suites.items():
        _check_tasks(name, tasks, scoring)
    return recipe


def _choice_seeds(value: Any, n_seeds: int) -> int:
    if type(value) is not int or not 1 <= value <= n_seeds:
        raise RecipeError(
            f"choice_seeds is {value!r}; it must be a number of seeds from 1 to {n_seeds}, of which seeds has."
        )
    return value


def _data(name: str, values: Values, suites: Values) -> DataSpec:
    where = f"data.{name}"
    about = ("source", "suites", "selection")
    _check_keys(where, values, (*about, *shared_options()))
    selection = values.get("selection")
    rest = [suite for suite in suites if suite != selection]
    chosen = _list(f"{where}.suites", values.get("suites", rest), str)
    for suite in (*chosen, *([] if selection is None else [selection])):
        if suite not in suites:
            raise UnknownNameError("suite", str(suite), suites, of=f"in [{where}]")
    if selection in chosen:
        raise RecipeError(
            f"[{where}] selection {selection} is among its suites; choose on other documents, or leave it out."
        )
    own = {key: value for key, value in values.items() if key not in about}
    _check_values(where, own, shared_options())
    return DataSpec(name=name, source=values.get("source", name), suites=chosen, training=own, selection=selection)


def _methods(tables: Values) -> tuple[MethodSpec, ...]:
    from aurac_adapters.methods import trainable_methods

    known = [*trainable_methods(), ROTATED, GRID]
    kinds = {name: _table(f"methods.{name}", values).get("method", name) for name, values in tables.items()}
    for name, method in kinds.items():
        if method not in known:
            raise UnknownNameError("method", str(method), known)
        if method == GRID and name != GRID:
            raise RecipeError(f"[methods.{name}] is a {GRID}; there is one of it, called {GRID}.")
    specs = {
        name: _trained(name, kinds[name], values, is_grid=name == GRID)
        for name, values in tables.items()
        if kinds[name] != ROTATED
    }
    sources = {name: spec for name, spec in specs.items() if name != GRID}
    for name in (name for name, method in kinds.items() if method == ROTATED):
        _check_keys(f"methods.{name}", tables[name], ("from", "method"))
        source = tables[name].get("from", "lora")
        if source not in sources:
            raise UnknownNameError(
                f"method that {name} is made from", source, sources, advice="It needs a table of its own."
            )
        specs[name] = MethodSpec(name=name, method=ROTATED, settings=specs[source].settings, source=source)
    return tuple(specs[name] for name in tables)


def _trained(name: str, kind: str, values: Values, *, is_grid: bool) -> MethodSpec:
    from aurac_adapters.methods.inference import split_gain

    known = grid_options("lora" if is_grid else kind)
    about = ("method", *(() if is_grid else ("inference",)))
    _check_keys(f"methods.{name}", values, (*known, *about))
    axes = {key: _axis(known[key], value) for key, value in values.items() if key not in about}
    for key, choices in axes.items():
        for choice in choices:
            _check_values(f"methods.{name}", {key: choice}, known)
    for key, choices in axes.items():
        if not choices or len({repr(choice) for choice in choices}) < len(choices):
            raise RecipeError(f"[methods.{name}] {key} is {choices}; give at least one value, each once.")
    settings = tuple(Setting(dict(zip(axes, cell, strict=True))) for cell in product(*axes.values()))
    if settings == (Setting({}),):
        raise RecipeError(f"[methods.{name}] is empty. Give it at least a learning_rate.")
    inferences: tuple[str | None, ...] = (None,)
    if "inference" in values:
        inferences = _list(f"methods.{name}.inference", values["inference"], str)
        for rule in inferences:
            split_gain(str(rule))
    return MethodSpec(name=name, method=kind, settings=settings, inferences=inferences)


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


def _check_values(where: str, values: Values, known: Mapping[str, Option]) -> None:
    for key, value in values.items():
        try:
            known[key].fit(value)
        except OptionError as exc:
            raise RecipeError(f"[{where}] {key}: {exc}.") from exc


def _check_tasks(suite: str, tasks: Any, scoring: Values) -> None:
    from aurac.harness.protocols import parse_tasks

    if not isinstance(tasks, str):
        raise RecipeError(f"[suites] {suite} is {tasks!r}; write what --tasks takes, such as 'arc,hellaswag'.")
    options = score_options(scoring, tasks=tasks)
    try:
        parse_tasks(tasks, protocol=options.protocol)
    except AuracError as exc:
        raise RecipeError(f"[suites] {suite}: {exc}") from exc


def _check_keys(where: str, values: Any, known: Iterable[str], *, required: Iterable[str] = ()) -> None:
    place = f"[{where}]" if where else "the recipe"
    for key in _table(where or "recipe", values):
        if key not in (allowed := tuple(known)):
            raise UnknownNameError("key", key, allowed, of=f"in {place}")
    if missing := [key for key in required if key not in values]:
        raise RecipeError(f"{place} lacks {', '.join(missing)}.")


def _table(where: str, value: Any) -> Values:
    if not isinstance(value, dict) or (not value and where in ("suites", "data", "methods")):
        raise RecipeError(f"[{where}] is {value!r}; it must be a table with at least one entry.")
    return value


def _list(where: str, value: Any, kind: type) -> tuple[Any, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or len(set(map(repr, values))) < len(values) or any(type(item) is not kind for item in values):
        what = {str: "texts", int: "whole numbers"}[kind]
        raise RecipeError(f"{where} is {value!r}; it must be a list of {what}, each once.")
    return tuple(values)


def _value_name(key: str, value: Any) -> str:
    if value is True:
        return key
    if isinstance(value, list):
        value = "-".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if key in ("learning_rate", "scaling") else f"{key}-{text}"
