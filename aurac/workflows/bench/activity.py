"""What goes on in a benchmark's folder while another process works in it: what runs, and what failed or died."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from aurac.workflows.bench import plan, state
from aurac.workflows.bench.choice import choose, chosen_settings
from aurac.workflows.bench.jobs import Job, jobs_of
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe


def activity_lines(recipe: Recipe, studies: Sequence[Study], out: Path) -> list[str]:
    """Return a line for each job that was begun and is not done."""
    lines = []
    for job in (job for study in studies for job in _jobs(recipe, study) if not job.is_done()):
        about = state.read(out, job)
        if about["status"] == "running":
            minutes = (time.time() - about["begun"]) / 60
            lines.append(f"running: {about['job']}, for {minutes:.0f} min on {about['host']}")
        elif about["status"] == "failed":
            lines.append(f"failed: {about['job']}: {about['error']}")
        elif about["status"] == "stopped":
            lines.append(f"stopped: {about['job']}, goes on with the same command")
    return lines


def _jobs(recipe: Recipe, study: Study) -> Iterator[Job]:
    grid = plan.grid(recipe, study)
    yield from jobs_of(grid)
    if all(scoring.is_done() for scoring in grid):
        yield from jobs_of(plan.chosen(recipe, study, chosen_settings(choose(grid))))
