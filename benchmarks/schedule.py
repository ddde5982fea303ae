"""Simulate a recipe's trainings and scorings on 1 to 64 GPUs: how long it takes, and how much of the time they idle.

    python benchmarks/schedule.py benchmarks/recipes/llama-3.1-8b.toml --train-hours 2 --score-hours 1
    python benchmarks/schedule.py benchmarks/recipes/full-study.toml --train-hours 0.04 0.28 --score-hours 0.36 2.30

The graph is the one that `aurac bench` works off: every job begins as soon as what it needs is made and a GPU is free,
in the order of the recipe; the other seeds of a study wait for all of its grid. Hours are given, not guessed: take them
from `aurac bench RECIPE --out DIR --calibrate`. What the grid will choose is not known, so each curve of a method is
taken to choose another setting, which makes the most work.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import count
from pathlib import Path

from aurac.workflows.bench import plan
from aurac.workflows.bench.jobs import Job, jobs_of
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe, read_recipe

GPUS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Task:
    """A job with what it needs, and its hours."""

    key: Path
    hours: float
    needs: tuple[Path, ...]


@dataclass(frozen=True)
class Schedule:
    """How a simulation went, in hours: from begin to end, and the sum over jobs.

    Attributes:
        makespan: Hours until everything is done.
        work: Hours of all jobs together.
        slots: Jobs at a time.
    """

    makespan: float
    work: float
    slots: int

    @property
    def idle(self) -> float:
        """Part of the GPUs' time in which they had nothing to do, in [0, 1]."""
        return 1 - self.work / (self.makespan * self.slots)


def tasks_of(recipe: Recipe, hours: Mapping[str, Mapping[str, float]]) -> list[Task]:
    """Return all jobs of a recipe; hours are by base model and verb: trained, rotated, scored."""
    studies = plan.studies(recipe, Path("out"))
    return [task for study in studies for task in _tasks(recipe, study, hours[study.model])]


def _tasks(recipe: Recipe, study: Study, hours: Mapping[str, float]) -> Iterator[Task]:
    grid = jobs_of(plan.grid(recipe, study))
    final = jobs_of(plan.chosen(recipe, study, _choices(recipe)))
    known = {job.key for job in grid}
    for job in grid:
        yield _task(job, hours, ())
    for job in (job for job in final if job.key not in known):
        yield _task(job, hours, tuple(known))


def _task(job: Job, hours: Mapping[str, float], before: tuple[Path, ...]) -> Task:
    return Task(job.key, hours.get(job.verb, hours["rotated"]), (*job.needs, *before))


def _choices(recipe: Recipe) -> dict[str, str]:
    """Return curve -> setting, another one for each curve that is made from the same trainings."""
    turn: dict[str, Iterator[int]] = {}
    chosen = {}
    for curve in plan.curves(recipe):
        settings = curve.spec.settings
        number = next(turn.setdefault(curve.spec.source or curve.spec.name, count()))
        chosen[curve.name] = settings[number % len(settings)].name
    return chosen


def simulate(tasks: Sequence[Task], slots: int) -> Schedule:
    """Let jobs begin in their order as soon as they can.

    Example:
        >>> a, b, c = (Task(Path(name), 1.0, ()) for name in "abc")
        >>> simulate([a, b, c, Task(Path("d"), 1.0, (a.key, b.key))], 2)
        Schedule(makespan=2.0, work=4.0, slots=2)
    """
    by_key = {task.key: task for task in tasks}
    order = TopologicalSorter({task.key: task.needs for task in tasks})
    order.prepare()
    place = {task.key: number for number, task in enumerate(tasks)}
    waiting = [place[key] for key in order.get_ready()]
    heapq.heapify(waiting)
    running: list[tuple[float, Path]] = []
    now = 0.0
    while waiting or running:
        while waiting and len(running) < slots:
            task = tasks[heapq.heappop(waiting)]
            heapq.heappush(running, (now + task.hours, task.key))
        now, key = heapq.heappop(running)
        order.done(key)
        for ready in order.get_ready():
            heapq.heappush(waiting, place[ready])
    return Schedule(now, sum(task.hours for task in by_key.values()), slots)


def table(recipe: Recipe, hours: Mapping[str, Mapping[str, float]], gpus: Sequence[int], per_gpu: int) -> str:
    """Return how long it takes on so many GPUs, in markdown."""
    tasks = tasks_of(recipe, hours)
    lines = ["| GPUs | hours | GPU-hours of work | idle |", "|---|---|---|---|"]
    for n in gpus:
        found = simulate(tasks, n * per_gpu)
        lines.append(f"| {n} | {found.makespan:.1f} | {found.work / per_gpu:.0f} | {100 * found.idle:.0f} % |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    for verb, what in (("train", "one training"), ("score", "one scoring of all ranks")):
        parser.add_argument(
            f"--{verb}-hours", type=float, nargs="+", required=True, help=f"of {what} on one GPU; one for each model"
        )
    parser.add_argument("--rotate-hours", type=float, default=0.02, help="of one rotation (default: 0.02)")
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS)
    parser.add_argument("--per-gpu", type=int, default=1, help="jobs that share a GPU without slowing each other")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    hours = {}
    for number, model in enumerate(recipe.models):
        trained, scored = (given[min(number, len(given) - 1)] for given in (args.train_hours, args.score_hours))
        hours[model] = {"trained": trained, "scored": scored, "rotated": args.rotate_hours}
    print(table(recipe, hours, args.gpus, args.per_gpu))


if __name__ == "__main__":
    main()
