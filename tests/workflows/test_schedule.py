"""`benchmarks/schedule.py`: the simulation of a recipe's jobs on several GPUs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from aurac.workflows.bench.recipe import read_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def schedule() -> Any:
    spec = importlib.util.spec_from_file_location("schedule", BENCHMARKS / "schedule.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["schedule"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_jobs_begin_in_their_order_when_what_they_need_is_made(schedule: Any) -> None:
    a, b, c, d = (
        schedule.Task(Path(name), hours, tuple(map(Path, needs)))
        for name, hours, needs in (("a", 1.0, ""), ("b", 3.0, ""), ("c", 1.0, ""), ("d", 1.0, "b"))
    )
    # By hand, two at a time: a 0-1, b 0-3, c 1-2, then nothing can begin until b is made, d 3-4: 6 of 8 hours.
    found = schedule.simulate([a, b, c, d], 2)
    assert (found.makespan, found.work, found.idle) == (4.0, 6.0, 0.25)
    assert schedule.simulate([a, b, c, d], 1).makespan == 6.0


def test_a_recipe_takes_all_its_work_on_one_gpu_and_its_longest_chain_on_many(schedule: Any) -> None:
    recipe = read_recipe(BENCHMARKS / "recipes/full-study.toml")
    small, large = ({"trained": x, "scored": 2 * x, "rotated": 0.0} for x in (1.0, 4.0))
    tasks = schedule.tasks_of(recipe, dict(zip(recipe.models, (small, large), strict=True)))
    # By hand, for each model: 29 trainings and 35 scorings at most; the longest chain is twice one of both.
    work = (29 + 2 * 35) * (1 + 4)
    assert schedule.simulate(tasks, 1).makespan == work
    assert schedule.simulate(tasks, 1000).makespan == 2 * (4 + 8)
    for slots in (2, 4, 16, 64):
        found = schedule.simulate(tasks, slots)
        assert work / slots <= found.makespan <= work / slots + 2 * (4 + 8)  # Graham's bound
