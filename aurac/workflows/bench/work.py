"""Trainings and scorings, one after another or in several processes; one that fails does not stop the others."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import RecordError
from aurac.workflows.bench.kinds import Adapter
from aurac.workflows.bench.plan import Scoring, is_trained, trainings
from aurac.workflows.bench.recipe import score_options

if TYPE_CHECKING:
    from aurac_adapters.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Job:
    """One thing to do.

    Attributes:
        label: What the progress line calls it.
        do: A function that another process can import.
        argument: Its argument.
        key: Folder that it makes.
    """

    label: str
    do: Callable[[Any], None]
    argument: Any
    key: Path


@dataclass(frozen=True)
class Outcome:
    """How a job ended: seconds, and the error where it failed."""

    seconds: float
    error: str | None


@contextmanager
def processes(n: int) -> Iterator[ProcessPoolExecutor | None]:
    """Yield a pool of processes, each with its share of the cores; None where one process is enough."""
    if n == 1:
        yield None
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n)))
    # Not fork: torch's threads do not survive it.
    pool = ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"), initializer=_become_quiet)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def work_off(
    scorings: Sequence[Scoring], pool: ProcessPoolExecutor | None, *, tell: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Train and score what is not done.

    Args:
        scorings: What is to be scored; their trainings come first.
        pool: The processes that share the work; None for this one alone.
        tell: Called after the first training and after the first scoring, when it is known what they take.

    Returns:
        Label -> error of what failed, and of what could not be done because of it.
    """
    failed: dict[str, str] = {}
    broken: dict[Path, str] = {}
    todo = [scoring for scoring in {scoring.out: scoring for scoring in scorings}.values() if not scoring.is_done()]
    rotations = {s.adapter.folder: s.adapter for s in todo if s.adapter.rotate_from and not s.adapter.folder.exists()}
    stages: list[tuple[str, Callable[[], list[Job]]]] = [
        ("trained", lambda: [_training_job(config) for config in trainings(scorings) if not is_trained(config)]),
        ("rotated", lambda: [_rotation_job(adapter) for adapter in rotations.values() if not _lacks(adapter, broken)]),
        ("scored", lambda: [_scoring_job(scoring) for scoring in todo if not _lacks(scoring.adapter, broken)]),
    ]
    for verb, jobs in stages:
        for number, (job, outcome) in enumerate(run_jobs(jobs(), verb, pool)):
            if number == 0 and not outcome.error:
                tell()
            if outcome.error:
                failed[f"{job.label} {verb}"] = broken[job.key] = outcome.error
    for scoring in todo:
        if reason := _lacks(scoring.adapter, broken):
            failed.setdefault(f"{scoring.label} scored", f"its adapter was not made ({reason})")
    return failed


def run_jobs(jobs: Sequence[Job], verb: str, pool: ProcessPoolExecutor | None) -> Iterator[tuple[Job, Outcome]]:
    """Do the jobs and yield each as it ends, with a line on standard error that says what is left."""
    started = time.perf_counter()
    ended = _one_by_one(jobs) if pool is None else _side_by_side(jobs, pool)
    for number, (job, outcome) in enumerate(ended, 1):
        left = len(jobs) - number
        minutes = (time.perf_counter() - started) / number * left / 60
        what = f"failed: {outcome.error}" if outcome.error else f"{outcome.seconds:.0f} s"
        rest = f"; {left} left, about {minutes:.0f} min" if left else ""
        print(f"[{number}/{len(jobs)}] {verb} {job.label}: {what}{rest}", file=sys.stderr, flush=True)
        yield job, outcome


def run_training(config: TrainingConfig) -> None:
    """Train; goes on where it was interrupted."""
    from aurac_adapters.training.trainer import train

    train(replace(config, progress=not _quiet()))


def run_rotation(adapter: Adapter) -> None:
    """Make the adapter from the trained one."""
    from aurac_adapters import svd_rotate

    assert adapter.rotate_from is not None
    svd_rotate(adapter.rotate_from, adapter.folder)


def run_scoring(scoring: Scoring) -> None:
    """Score; goes on where it was interrupted."""
    from aurac.workflows.sweep import score_folder

    planned = {"tasks": scoring.tasks, "base": scoring.base, "ranks": scoring.ranks, "inference": scoring.inference}
    options = score_options(scoring.options, out=scoring.out, **planned)
    record = score_folder(scoring.adapter.folder, options)
    assert record is not None
    if problems := [*(str(cell.get("error")) for cell in record.failures), *record.problems.values()]:
        raise RecordError(problems[0])


def _one_by_one(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    for job in jobs:
        yield job, _attempt(job.do, job.argument)


def _side_by_side(jobs: Sequence[Job], pool: ProcessPoolExecutor) -> Iterator[tuple[Job, Outcome]]:
    futures: dict[Future[Outcome], Job] = {pool.submit(_attempt, job.do, job.argument): job for job in jobs}
    for future in as_completed(futures):
        yield futures[future], _result(future)


def _attempt(do: Callable[[Any], None], argument: Any) -> Outcome:
    """Do it; an error becomes text, since not every exception survives the way between processes."""
    started = time.perf_counter()
    error = None
    try:
        if _quiet():
            with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                do(argument)
        else:
            do(argument)
    except Exception as exc:  # whatever it was, the others go on
        error = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
    return Outcome(time.perf_counter() - started, error)


def _result(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as exc:  # the process died
        return Outcome(0.0, f"{type(exc).__name__}: {exc}")


def _become_quiet() -> None:
    """Show no bars: the lines of several processes would be mixed. Tqdm reads this when it is imported."""
    os.environ["TQDM_DISABLE"] = "1"
    from warnings import filterwarnings

    filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)


def _quiet() -> bool:
    return multiprocessing.parent_process() is not None


def _lacks(adapter: Adapter, broken: Mapping[Path, str]) -> str | None:
    """Return why the adapter could not be made, None where it was."""
    needed = [*(config.out for config in adapter.trainings), adapter.folder]
    return next((broken[folder] for folder in needed if folder in broken), None)


def _training_job(config: TrainingConfig) -> Job:
    parts = config.out.parts[-4:] if config.out.name.startswith("rank-") else config.out.parts[-3:]
    return Job(" ".join(part.replace("seed-", "seed ").replace("rank-", "rank ") for part in parts), run_training,
               config, config.out)  # fmt: skip


def _rotation_job(adapter: Adapter) -> Job:
    return Job(adapter.label, run_rotation, adapter, adapter.folder)


def _scoring_job(scoring: Scoring) -> Job:
    return Job(scoring.label, run_scoring, scoring, scoring.out)
