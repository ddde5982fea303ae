"""From a recipe to what is to be trained and scored, and what of it is done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from aurac.errors import RecordError, UnknownNameError
from aurac.results.files import NESTED
from aurac.workflows.bench.checks import Values
from aurac.workflows.bench.kinds import Adapter, Study, make_adapter
from aurac.workflows.bench.method_specs import ROTATED, MethodSpec, Setting
from aurac.workflows.bench.recipe import Recipe

if TYPE_CHECKING:
    from aurac_adapters.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Curve:
    """A method under one inference rule: a row of the result, with a choice of its own.

    Attributes:
        spec: The method.
        inference: The rule; None for the method's own.
    """

    spec: MethodSpec
    inference: str | None

    @property
    def name(self) -> str:
        """What tables and folders call it."""
        return self.spec.name if self.inference is None else f"{self.spec.name}-{self.inference}"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """An adapter to be scored on a suite.

    Attributes:
        adapter: The adapter.
        curve: Name of the curve.
        setting: Name of the setting.
        seed: Seed of the training.
        suite: Name of the suite.
        tasks: Text of `--tasks`.
        base: Base model.
        ranks: Ranks; None where it is scored at budgets.
        budgets: Shares of the parameters of an adapter whose layers have ranks of their own; None for ranks.
        inference: The rule, None for the adapter's own.
        options: The section `[scoring]`.
        out: Folder of the record.
    """

    adapter: Adapter
    curve: str
    setting: str
    seed: int
    suite: str
    tasks: str
    base: str
    ranks: tuple[int, ...] | None
    budgets: tuple[float, ...] | None
    inference: str | None
    options: Values
    out: Path

    @property
    def label(self) -> str:
        """What progress lines call it."""
        rule = "" if self.inference is None else f" {self.inference}"
        return f"{self.adapter.label}{rule} on {self.suite}"

    def is_done(self) -> bool:
        """Tell whether the record is complete."""
        from aurac.results.cells import DONE, PART
        from aurac.results.files import RUN_JSON, read_run_json

        if not (self.out / RUN_JSON).is_file():
            return False
        cells = read_run_json(self.out)["cells"]
        return bool(cells) and all(cell.get("status") in (DONE, PART) for cell in cells)


def studies(recipe: Recipe, out: Path, copies: Mapping[str, str] | None = None) -> list[Study]:
    """Return every combination of base model, data and rank, with a folder of its own where there are several.

    Args:
        recipe: The recipe.
        out: Folder of all of them.
        copies: Base model, as the recipe calls it -> folder of a copy that is used instead.

    Raises:
        UnknownNameError: If the recipe has no such model.
    """
    copies = copies or {}
    for name in copies:
        if name not in recipe.models:
            raise UnknownNameError("base model of the recipe", name, recipe.models)
    several = (len(recipe.models) > 1, len(recipe.data) > 1, len(recipe.ranks) > 1)
    found = []
    for model, data, rank in product(recipe.models, recipe.data, recipe.ranks):
        parts = (re.sub(r"[^\w.-]+", "-", model.strip("/")), data.name, f"rank-{rank}")
        root = out.joinpath(*(part for part, varies in zip(parts, several, strict=True) if varies))
        found.append(Study(model, data, rank, root, copies.get(model)))
    return found


def curves(recipe: Recipe) -> list[Curve]:
    """Return the rows of the result, in the order of the recipe."""
    return [Curve(spec, inference) for spec in recipe.methods for inference in spec.inferences]


def grid(recipe: Recipe, study: Study) -> list[Scoring]:
    """Return every setting of every curve with each seed that decides, on the suite that decides."""
    return [
        _scoring(recipe, study, curve, setting, seed, study.data.deciding)
        for seed in recipe.seeds[: recipe.choice_seeds]
        for curve in curves(recipe)
        for setting in curve.spec.settings
    ]


def chosen(recipe: Recipe, study: Study, choices: Mapping[str, str]) -> list[Scoring]:
    """Return the chosen setting of every curve with every seed, on every suite.

    Args:
        recipe: The recipe.
        study: Which study.
        choices: Name of the curve -> name of its setting; a curve without one is left out.
    """
    return [
        _scoring(recipe, study, curve, setting, seed, suite)
        for suite in study.data.suites
        for curve in curves(recipe)
        for setting in curve.spec.settings
        if choices.get(curve.name) == setting.name
        for seed in recipe.seeds
    ]


def trainings(scorings: Iterable[Scoring]) -> list[TrainingConfig]:
    """Return what has to be trained for these scorings, each once."""
    return list({config.out: config for scoring in scorings for config in scoring.adapter.trainings}.values())


def is_trained(config: TrainingConfig) -> bool:
    """Tell whether a training is finished."""
    file = config.out / "training.json"
    try:
        return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("status") == "finished"
    except ValueError as exc:
        raise RecordError(f"{file} is damaged: {exc}. Delete {config.out} to train again.") from exc


def most_trainings(recipe: Recipe, study: Study) -> int:
    """Return how many trainings the other seeds take at most: each curve may choose a setting of its own."""
    most = 0
    for spec in recipe.methods:
        if spec.method != ROTATED:
            rows = [curve for curve in curves(recipe) if spec.name in (curve.spec.name, curve.spec.source)]
            one = make_adapter(recipe, study, spec, spec.settings[0], recipe.seeds[0])
            own = [config for config in one.trainings if spec.source is None or config.start is not None]
            most += min(len(rows), len(spec.settings)) * len(own)
    return most * (len(recipe.seeds) - recipe.choice_seeds)


def _scoring(recipe: Recipe, study: Study, curve: Curve, setting: Setting, seed: int, suite: str) -> Scoring:
    adapter = make_adapter(recipe, study, curve.spec, setting, seed)
    several = len(study.data.suites) > 1 or study.data.selection is not None
    parts = [NESTED, curve.inference, suite if several else None]
    return Scoring(
        adapter=adapter,
        curve=curve.name,
        setting=setting.name,
        seed=seed,
        suite=suite,
        tasks=recipe.suites[suite],
        base=study.place,
        ranks=None if adapter.by_budget else study.eval_ranks(recipe),
        budgets=study.eval_budgets(recipe) if adapter.by_budget else None,
        inference=curve.inference,
        options=recipe.scoring,
        out=adapter.folder / "-".join(part for part in parts if part),
    )
