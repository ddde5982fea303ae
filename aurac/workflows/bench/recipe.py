"""A recipe: the TOML file that says what a benchmark trains and scores. docs/benchmark.md explains every key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aurac.errors import AuracError, RecipeError, UnknownNameError
from aurac.fields import Option, options_of
from aurac.workflows.bench.checks import Values, check_keys, check_values, list_of, table_of
from aurac.workflows.bench.method_specs import MethodSpec, method_specs, shared_options
from aurac.workflows.options import ScoreOptions

_TOP = (
    *("models", "ranks", "train_ranks", "eval_ranks", "seeds", "choice_seeds"),
    *("training", "scoring", "suites", "data", "methods"),
)
_PLANNED = (
    *("tasks", "base", "out", "ranks", "budgets", "inference", "gain"),
    *("executor", "address", "jobs", "gpus", "cpus"),
)
"""Options of a scoring that other keys of the recipe, or the command, decide."""


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
        text: The file's own text.
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
    text: str = ""

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
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except FileNotFoundError:
        raise RecipeError(f"no such recipe: {path}. Give a TOML file, such as those in benchmarks/recipes.") from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder. Give a TOML file, such as those in benchmarks/recipes.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise RecipeError(f"{path} is no TOML file: {exc}.") from exc
    try:
        return replace(_recipe(content), text=text)
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


def scoring_options() -> dict[str, Option]:
    """Return the options of a scoring that `[scoring]` may give."""
    return options_of(ScoreOptions, leave_out=_PLANNED)


def _recipe(content: Values) -> Recipe:
    check_keys("", content, _TOP, required=("models", "ranks", "seeds", "suites", "data", "methods"))
    training, scoring = content.get("training", {}), content.get("scoring", {})
    check_keys("training", training, shared_options())
    check_values("training", training, shared_options())
    check_keys("scoring", scoring, scoring_options())
    suites = dict(table_of("suites", content["suites"]))
    data = tuple(_data(name, values, suites) for name, values in table_of("data", content["data"]).items())
    methods = method_specs(table_of("methods", content["methods"]))
    seeds = list_of("seeds", content["seeds"], int)
    recipe = Recipe(
        models=list_of("models", content["models"], str),
        ranks=_ranks("ranks", content["ranks"]),
        train_ranks=_ranks("train_ranks", content["train_ranks"]) if "train_ranks" in content else None,
        eval_ranks=_ranks("eval_ranks", content["eval_ranks"]) if "eval_ranks" in content else None,
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


def _ranks(key: str, value: Any) -> tuple[int, ...]:
    ranks = list_of(key, value, int)
    if min(ranks) < 1:
        raise RecipeError(f"{key} has {min(ranks)}; ranks are whole numbers from 1.")
    return ranks


def _choice_seeds(value: Any, n_seeds: int) -> int:
    if type(value) is not int or not 1 <= value <= n_seeds:
        raise RecipeError(
            f"choice_seeds is {value!r}; it must be a number of seeds from 1 to {n_seeds}, of which seeds has."
        )
    return value


def _data(name: str, values: Values, suites: Values) -> DataSpec:
    where = f"data.{name}"
    about = ("source", "suites", "selection")
    check_keys(where, values, (*about, *shared_options()))
    selection = values.get("selection")
    rest = [suite for suite in suites if suite != selection]
    chosen = list_of(f"{where}.suites", values.get("suites", rest), str)
    for suite in (*chosen, *([] if selection is None else [selection])):
        if suite not in suites:
            raise UnknownNameError("suite", str(suite), suites, of=f"in [{where}]")
    if selection in chosen:
        raise RecipeError(
            f"[{where}] selection {selection} is among its suites; choose on other documents, or leave it out."
        )
    source = values.get("source", name)
    if not isinstance(source, str):
        raise RecipeError(f"[{where}] source is {source!r}; give a JSONL file, or the name of a set.")
    own = {key: value for key, value in values.items() if key not in about}
    check_values(where, own, shared_options())
    return DataSpec(name=name, source=source, suites=chosen, training=own, selection=selection)


def _check_tasks(suite: str, tasks: Any, scoring: Values) -> None:
    from aurac.harness.protocols import parse_tasks

    if not isinstance(tasks, str):
        raise RecipeError(f"[suites] {suite} is {tasks!r}; write what --tasks takes, such as 'arc,hellaswag'.")
    options = score_options(scoring, tasks=tasks)
    try:
        parse_tasks(tasks, protocol=options.protocol)
    except AuracError as exc:
        raise RecipeError(f"[suites] {suite}: {exc}") from exc
