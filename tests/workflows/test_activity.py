"""What `aurac bench --dry-run` says of a folder in which another process works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aurac import testbed
from aurac.workflows.bench import plan, state
from aurac.workflows.bench.activity import activity_lines
from aurac.workflows.bench.jobs import Job, jobs_of
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe, read_recipe

RECIPE = f"""
models = ["{testbed.MODEL}"]
ranks = [2]
seeds = [1]
suites.small = "tilt"
data.mixture.source = "{testbed.TRAIN}"
methods.lora.learning_rate = 1e-3
"""


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Recipe, list[Study], Path, Job]:
    """A recipe, its studies, their folder and the first training."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe, out = read_recipe(tmp_path / "recipe.toml"), tmp_path / "out"
    studies = plan.studies(recipe, out)
    return recipe, studies, out, jobs_of(plan.grid(recipe, studies[0]))[0]


def test_nothing_is_said_of_jobs_that_were_not_begun(benchmark: tuple[Recipe, list[Study], Path, Job]) -> None:
    assert activity_lines(*benchmark[:3]) == []


def test_a_job_runs_until_it_ends(benchmark: tuple[Recipe, list[Study], Path, Job]) -> None:
    recipe, studies, out, job = benchmark
    with state.running(out, job):
        (line,) = activity_lines(recipe, studies, out)
        assert line.startswith(f"running: {job.label} trained, for 0 min on ")


def test_a_job_that_raised_is_named_with_its_error(benchmark: tuple[Recipe, list[Study], Path, Job]) -> None:
    recipe, studies, out, job = benchmark
    with pytest.raises(ValueError, match="no room"), state.running(out, job):
        raise ValueError("no room")
    assert activity_lines(recipe, studies, out) == [f"failed: {job.label} trained: ValueError: no room"]


def test_a_job_whose_process_or_machine_died_is_stopped(benchmark: tuple[Recipe, list[Study], Path, Job]) -> None:
    recipe, studies, out, job = benchmark
    with state.running(out, job):
        (file,) = (out / state.FOLDER).iterdir()
        old = file.stat().st_mtime - state.DEAD_SECONDS - 1
        os.utime(file, (old, old))
        assert activity_lines(recipe, studies, out) == [f"stopped: {job.label} trained, goes on with the same command"]
    with pytest.raises(KeyboardInterrupt), state.running(out, job):
        raise KeyboardInterrupt
    assert activity_lines(recipe, studies, out)[0].startswith("stopped: ")
