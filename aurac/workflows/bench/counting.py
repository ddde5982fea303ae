"""What a benchmark is about to do, in lines: how many trainings and scorings, and how many of them are done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import TYPE_CHECKING

from aurac.results.files import read_run_json
from aurac.workflows.bench import plan
from aurac.workflows.bench.choice import choose, chosen_settings
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe

if TYPE_CHECKING:
    from aurac_adapters.training.config import TrainingConfig


def plan_lines(recipe: Recipe, found: list[Study], *, gpus: float | None = None) -> list[str]:
    """Return a line for every study and step: how many trainings and scorings, and how many of them are done.

    Args:
        recipe: The recipe.
        found: Its studies.
        gpus: GPUs of each job, for GPU-hours; None for 1 where what was measured ran on one.
    """
    lines = []
    for study in found:
        first, others = _counts(recipe, study)
        deciding = recipe.seeds[: recipe.choice_seeds]
        seeds = f"seed{'s' if len(deciding) > 1 else ''} {', '.join(map(str, deciding))}"
        lines += [f"{study.title}:", f"  grid with {seeds}: {first}", f"  chosen settings: {others}"]
    line = hours_line(recipe, found, gpus=gpus)
    return [*lines, line] if line else lines


@dataclass
class Measured:
    """What trainings and scorings took that are done, and how many are left at most.

    Attributes:
        trained: Seconds of each training.
        scored: Seconds of each scoring.
        to_train: Trainings that are left; at most so many, before the settings are chosen.
        to_score: Scorings that are left.
        on_gpu: Whether a scoring ran on a GPU.
    """

    trained: list[float] = field(default_factory=list)
    scored: list[float] = field(default_factory=list)
    to_train: int = 0
    to_score: int = 0
    on_gpu: bool = False


def measured(recipe: Recipe, found: Sequence[Study]) -> Measured:
    """Return what is known of all studies together."""
    known = Measured()
    for study in found:
        configs, left = _trainings(recipe, study)
        known.trained += map(_train_seconds, configs)
        known.to_train += left
        scorings, left = _scorings(recipe, study)
        records = [read_run_json(scoring.out) for scoring in scorings]
        known.scored += [sum(float(cell.get("seconds") or 0.0) for cell in record["cells"]) for record in records]
        known.to_score += left
        known.on_gpu |= any((record.get("hardware") or {}).get("device") == "cuda" for record in records)
    return known


def hours_line(recipe: Recipe, found: Sequence[Study], *, gpus: float | None = None) -> str | None:
    """Return how many hours are left, from what was done so far; None where nothing was done, or nothing is left.

    What is left takes what the mean of the done ones took; how many trainings the other seeds need is known at most,
    before the settings are chosen.
    """
    known = measured(recipe, found)
    rows = (("trainings", known.trained, known.to_train), ("scorings", known.scored, known.to_score))
    left = [(what, count, mean(seconds) * count if seconds else None) for what, seconds, count in rows if count]
    if not left or not (known.trained or known.scored):
        return None
    parts = [f"{n} {what}: {'unknown' if seconds is None else hours(seconds)}" for what, n, seconds in left]
    gpus = (1.0 if known.on_gpu else 0.0) if gpus is None else gpus
    known_left = [seconds for _, _, seconds in left if seconds is not None]
    if gpus and len(known_left) == len(left):
        parts.append(f"{sum(known_left) * gpus / 3600:.3g} GPU-hours with {gpus:g} GPU{'' if gpus == 1 else 's'} each")
    return f"left, at most, one at a time: {'; '.join(parts)}"


def hours(seconds: float) -> str:
    """Return a duration as lines say it."""
    return f"about {seconds / 3600:.1f} h" if seconds >= 360 else f"about {seconds / 60:.0f} min"


def _trainings(recipe: Recipe, study: Study) -> tuple[list[TrainingConfig], int]:
    """Return the trainings that are done, and how many are left at most."""
    grid = plan.grid(recipe, study)
    configs = plan.trainings(grid)
    further = plan.most_trainings(recipe, study)
    if all(scoring.is_done() for scoring in grid):
        every = plan.trainings(plan.chosen(recipe, study, chosen_settings(choose(grid))))
        configs, further = [*configs, *(c for c in every if c.out not in {known.out for known in configs})], 0
    done = [config for config in configs if plan.is_trained(config)]
    return done, len(configs) - len(done) + further


def _scorings(recipe: Recipe, study: Study) -> tuple[list[plan.Scoring], int]:
    """Return the scorings that are done, and how many are left."""
    grid = plan.grid(recipe, study)
    done = [scoring for scoring in grid if scoring.is_done()]
    left = len(grid) - len(done)
    if left:
        return done, left + _n_final(recipe, study)
    known = {scoring.out for scoring in grid}
    final = [s for s in plan.chosen(recipe, study, chosen_settings(choose(grid))) if s.out not in known]
    more = [scoring for scoring in final if scoring.is_done()]
    return [*done, *more], len(final) - len(more)


def _n_final(recipe: Recipe, study: Study) -> int:
    """Return how many scorings the chosen settings take beyond the grid."""
    of_grid = 0 if study.data.selection else recipe.choice_seeds
    return len(plan.curves(recipe)) * (len(recipe.seeds) * len(study.data.suites) - of_grid)


def _train_seconds(config: TrainingConfig) -> float:
    return float(json.loads((config.out / "training.json").read_text(encoding="utf-8")).get("train_seconds", 0.0))


def _counts(recipe: Recipe, study: Study) -> tuple[str, str]:
    grid = plan.grid(recipe, study)
    configs = plan.trainings(grid)
    trained, scored = sum(map(plan.is_trained, configs)), sum(scoring.is_done() for scoring in grid)
    first = f"{len(configs)} trainings ({trained} done), {len(grid)} scorings ({scored} done)"
    if scored < len(grid):
        n_scorings = _n_final(recipe, study)
        most = plan.most_trainings(recipe, study)
        return first, f"at most {most} further trainings, {n_scorings} further scorings"
    final = plan.chosen(recipe, study, chosen_settings(choose(grid)))
    further = [config for config in plan.trainings(final) if config.out not in {known.out for known in configs}]
    records = [scoring for scoring in final if scoring.out not in {known.out for known in grid}]
    trained, scored = sum(map(plan.is_trained, further)), sum(scoring.is_done() for scoring in records)
    return first, (
        f"{len(further)} further trainings ({trained} done), {len(records)} further scorings ({scored} done)"
    )
