"""How the adapter of a method comes about: trained, rotated or squeezed from a trained one, or anew for every rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.ranks import default_ranks
from aurac.workflows.bench.method_specs import GRID, ROTATED, SQUEEZED, MethodSpec, Setting, shared_options
from aurac.workflows.bench.recipe import DataSpec, Recipe
from aurac.workflows.method_options import as_fields
from aurac.workflows.training import training_config

if TYPE_CHECKING:
    from aurac_adapters.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Study:
    """One base model, one training set and one maximal rank: methods are compared, and settings chosen, within it.

    Attributes:
        model: Base model.
        data: Training data.
        rank: Maximal rank.
        root: Folder of everything that belongs to it.
        copy: Folder of a copy of the base model that is used instead; None to use it by its name.
    """

    model: str
    data: DataSpec
    rank: int
    root: Path
    copy: str | None = None

    @property
    def place(self) -> str:
        """Where the base model is loaded from."""
        return self.copy or self.model

    @property
    def title(self) -> str:
        """What tables and progress lines call it."""
        return f"{self.model}, {self.data.name}, rank {self.rank}"

    def up_to_rank(self, ranks: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return those of the ranks that the adapter has."""
        return None if ranks is None else tuple(rank for rank in ranks if rank <= self.rank)

    def eval_budgets(self, recipe: Recipe) -> tuple[float, ...]:
        """Return the shares of the adapter's parameters that the ranks which are scored have."""
        return tuple(rank / self.rank for rank in self.eval_ranks(recipe))

    def eval_ranks(self, recipe: Recipe) -> tuple[int, ...]:
        """Return the ranks that are scored: the recipe's, by default the powers of two up to R, and R."""
        return self.up_to_rank(recipe.eval_ranks) or default_ranks(self.rank)


@dataclass(frozen=True)
class Adapter:
    """An adapter to be made and scored.

    Attributes:
        folder: Where it lies.
        label: What progress lines call it.
        trainings: What has to be trained for it.
        rotate_from: The trained adapter that it is rotated from; None where it is trained itself.
        rotation: Options of the rotation.
        by_budget: Whether its layers have ranks of their own, so that it is scored at budgets.
    """

    folder: Path
    label: str
    trainings: tuple[TrainingConfig, ...]
    rotate_from: Path | None = None
    rotation: Mapping[str, Any] = field(default_factory=dict)
    by_budget: bool = False


def make_adapter(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    """Return what has to be done for one method, setting and seed.

    Raises:
        AuracError: If the setting, a rank or a training option cannot be used; nothing was started then.
    """
    return _KINDS.get(spec.method, _trained)(recipe, study, spec, setting, seed)


def _trained(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    from aurac_adapters import METHODS

    method = METHODS[spec.method]
    # A method whose default is its full rank alone takes no others.
    takes_ranks = method(max_rank=study.rank).train_ranks != (study.rank,)
    ranks = study.up_to_rank(recipe.train_ranks) if takes_ranks else None
    folder = _folder(study, spec.name, setting, seed)
    training = _training(recipe, study, setting, seed, method=spec.method, rank=study.rank, ranks=ranks, out=folder)
    return Adapter(folder, _label(spec.name, setting, seed), (training,))


def _rotated(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    from aurac_adapters.methods.allocation import ALLOCATIONS

    trained = _source(recipe, study, spec, setting, seed)
    trusted = bool(recipe.training.get("trust_remote_code", False))
    return Adapter(
        _folder(study, spec.name, setting, seed),
        _label(spec.name, setting, seed),
        trained.trainings,
        trained.folder,
        {"allocate": spec.allocate, "calibrate": spec.calibrate, "trust_remote_code": trusted},
        by_budget=ALLOCATIONS[spec.allocate].by_layer,
    )


def _squeezed(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    assert setting.source is not None
    trained = _source(recipe, study, spec, setting.source, seed)
    folder, start, made = _folder(study, spec.name, setting, seed), trained.folder, []
    shared = {key: value for key, value in setting.source.values.items() if key in shared_options()}
    both = Setting({**shared, **setting.values})
    for rank in sorted(study.eval_ranks(recipe), reverse=True):
        out = folder / f"rank-{rank}"
        made.append(_training(recipe, study, both, seed, method="lora", rank=rank, ranks=None, out=out, start=start))
        start = out if spec.gradual else start
    return Adapter(folder, _label(spec.name, setting, seed), (*trained.trainings, *made))


def _source(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    """Return the trained adapter that another one is made from."""
    return make_adapter(recipe, study, next(o for o in recipe.methods if o.name == spec.source), setting, seed)


def _retrained(recipe: Recipe, study: Study, spec: MethodSpec, setting: Setting, seed: int) -> Adapter:
    folder = _folder(study, spec.name, setting, seed)
    trainings = tuple(
        _training(recipe, study, setting, seed, method="lora", rank=rank, ranks=None, out=folder / f"rank-{rank}")
        for rank in study.eval_ranks(recipe)
    )
    return Adapter(folder, _label(spec.name, setting, seed), trainings)


_KINDS: dict[str, Callable[[Recipe, Study, MethodSpec, Setting, int], Adapter]] = {
    ROTATED: _rotated,
    GRID: _retrained,
    SQUEEZED: _squeezed,
}


def _training(
    recipe: Recipe,
    study: Study,
    setting: Setting,
    seed: int,
    *,
    method: str,
    rank: int,
    ranks: tuple[int, ...] | None,
    out: Path,
    start: Path | None = None,
) -> TrainingConfig:
    from aurac_adapters import METHODS

    known = shared_options()
    chosen = dict(setting.values)
    options = {**recipe.training, **study.data.training}
    options |= {key: chosen.pop(key) for key in known if key in chosen}
    fields = as_fields(method, METHODS[method], chosen)
    if ranks:
        fields["train_ranks"] = ranks
    training = {key: known[key].fit(value) for key, value in options.items()}
    training |= {"model": study.place, "data": study.data.source, "out": out, "seed": seed}
    if start is not None:
        training |= {"start": start, "init": "peft"}
    return training_config(method, rank, training=training, fields=fields)


def _folder(study: Study, method: str, setting: Setting, seed: int) -> Path:
    return study.root / method / setting.name / f"seed-{seed}"


def _label(method: str, setting: Setting, seed: int) -> str:
    return f"{method} {setting.name} seed {seed}"
