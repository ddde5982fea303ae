"""What every training seed of a method scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.quadrature import weights
from aurac.statistics.estimate import Interval
from aurac.statistics.next_seed import next_seed_interval
from aurac.statistics.over_seeds import seed_values


@dataclass(frozen=True)
class EachSeed:
    """The trainings of one method on one task, or on the mean over tasks.

    Attributes:
        run: Name of the method.
        task: Name of the task, or "macro".
        values: Training seed -> AURAC, on the documents that all have.
        next: Where one more training will score; None below three seeds.
    """

    run: str
    task: str
    values: Mapping[str, float]
    next: Interval | None


def every_seed(compared: ComparedRuns) -> list[EachSeed]:
    """Return the scores of the seeds of every method, the best method first; nothing for rows that are single runs.

    A task where the seeds could not be joined document by document is left out, and so is a mean over it.
    """
    made = [_each_seed(compared, run.name, task) for run in compared.ordered() for task in compared.columns]
    return [found for found in made if found is not None]


def _each_seed(compared: ComparedRuns, run: str, task: str) -> EachSeed | None:
    tasks = compared.tasks if task == MACRO else (task,)
    curves = [compared.score(run, t).curve for t in tasks]
    labels = {None if curve.seeds is None else curve.seeds.labels for curve in curves}
    if None in labels or len(labels) > 1:
        return None
    rank_weights = [weights(curve.ranks, **compared.settings.area) for curve in curves]
    settings = compared.settings
    predicted = next_seed_interval(
        curves, rank_weights, confidence_level=settings.confidence_level, target=settings.target
    )
    return EachSeed(run, task, seed_values(curves, rank_weights), predicted)
