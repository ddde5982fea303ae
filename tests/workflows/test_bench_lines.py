"""The line that a benchmark prints for each job that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurac.workflows.bench import work
from aurac.workflows.bench.jobs import Job


def test_what_is_left_is_estimated_from_jobs_of_its_kind_whatever_ends_between_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Job(verb, f"{verb} {n}", Path(f"{verb}-{n}"), None) for verb in ("scored", "rotated") for n in range(4)]
    scored, rotated = jobs[:4], jobs[4:]
    lines = work._Lines(jobs)
    for now, job, seconds in (
        (600, scored[0], 600),
        (1200, scored[1], 600),
        (1201, rotated[0], 1),
        (1800, scored[2], 600),
    ):
        monkeypatch.setattr(work.time, "perf_counter", lambda now=now: float(now))
        lines.print(job, work.Outcome(seconds, None))
    said = [line.rsplit("; ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["3 left, about 30 min", "2 left, about 20 min", "3 left, about 0 min", "1 left, about 10 min"]
