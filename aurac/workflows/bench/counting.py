"""What a benchmark is about to do, in lines: how many trainings and scorings, and how many of them are done."""

from __future__ import annotations

from aurac.workflows.bench import plan
from aurac.workflows.bench.choice import choose, chosen_settings
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe


def plan_lines(recipe: Recipe, found: list[Study]) -> list[str]:
    """Return a line for every study and step: how many trainings and scorings, and how many of them are done."""
    lines = []
    for study in found:
        first, others = _counts(recipe, study)
        lines += [f"{study.title}:", f"  grid with seed {recipe.seeds[0]}: {first}", f"  chosen settings: {others}"]
    return lines


def _counts(recipe: Recipe, study: Study) -> tuple[str, str]:
    grid = plan.grid(recipe, study)
    configs = plan.trainings(grid)
    trained, scored = sum(map(plan.is_trained, configs)), sum(scoring.is_done() for scoring in grid)
    first = f"{len(configs)} trainings ({trained} done), {len(grid)} scorings ({scored} done)"
    if scored < len(grid):
        n_scorings = len(plan.curves(recipe)) * (len(recipe.seeds) * len(study.data.suites) - 1)
        most = plan.most_trainings(recipe, study)
        return first, f"at most {most} further trainings, {n_scorings} further scorings"
    final = plan.chosen(recipe, study, chosen_settings(choose(grid)))
    further = [config for config in plan.trainings(final) if config.out not in {known.out for known in configs}]
    records = [scoring for scoring in final if scoring.out not in {known.out for known in grid}]
    trained, scored = sum(map(plan.is_trained, further)), sum(scoring.is_done() for scoring in records)
    return first, (
        f"{len(further)} further trainings ({trained} done), {len(records)} further scorings ({scored} done)"
    )
