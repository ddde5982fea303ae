"""The jobs of a graph on an executor, each once what it needs is made; one that fails stops only what needs it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from aurac.errors import ExecutorError
from aurac.workflows.bench import state
from aurac.workflows.bench.jobs import Job


@dataclass(frozen=True)
class Outcome:
    """How a job ended: seconds, and the error where it failed."""

    seconds: float
    error: str | None


def work_off(
    jobs: Sequence[Job], pool: Executor, root: Path, *, tell: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Do what is not done.

    Args:
        jobs: The graph; what is done is left as it is.
        pool: Where the jobs run.
        root: Folder of the benchmark, for what `aurac bench --dry-run` reads.
        tell: Called after the first training and after the first scoring, when it is known what they take.

    Returns:
        Label -> error of what failed, and of what could not be done because of it.
    """
    failed: dict[str, str] = {}
    told: set[str] = set()
    for job, outcome in run_jobs(jobs, pool, root):
        if outcome.error:
            failed[f"{job.label} {job.verb}"] = outcome.error
        elif job.verb not in told and job.verb != "rotated":
            told.add(job.verb)
            tell()
    return failed


def run_jobs(jobs: Sequence[Job], pool: Executor, root: Path) -> Iterator[tuple[Job, Outcome]]:
    """Hand each job to the pool as soon as it can begin, and yield each as it ends."""
    todo = {job.key: job for job in jobs if not job.is_done()}
    order = TopologicalSorter({key: [need for need in job.needs if need in todo] for key, job in todo.items()})
    order.prepare()
    here, lines = _this_process(), _Lines(todo.values())
    running: dict[Future[Outcome], Job] = {}
    broken: dict[Path, str] = {}

    def ended(timeout: float | None) -> Iterator[tuple[Job, Outcome]]:
        for future in wait(running, timeout, FIRST_COMPLETED).done:
            job, outcome = running.pop(future), _result(future)
            order.done(job.key)
            if outcome.error:
                broken[job.key] = outcome.error
            lines.print(job, outcome)
            yield job, outcome

    while order.is_active():
        for job in (todo[key] for key in order.get_ready()):
            if reason := next((broken[need] for need in job.needs if need in broken), None):
                broken[job.key] = reason
                order.done(job.key)
                if job.verb == "scored":
                    yield job, Outcome(0.0, f"its adapter was not made ({reason})")
                continue
            running[_submit(pool, job, root, here)] = job
            yield from ended(0)  # an executor without processes has done it by now
        if running:
            yield from ended(None)


def _submit(pool: Executor, job: Job, root: Path, here: str) -> Future[Outcome]:
    try:
        return pool.submit(_attempt, job, root, here)
    except Exception as exc:  # a cluster that is gone: its jobs fail, and the same command goes on
        future: Future[Outcome] = Future()
        future.set_exception(exc)
        return future


def _attempt(job: Job, root: Path, driver: str) -> Outcome:
    """Do it; an error becomes text, since not every exception survives the way between processes."""
    started = time.perf_counter()
    error = None
    with ExitStack() as stack:
        if _this_process() != driver:  # bars of several processes would be mixed
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        try:
            with state.running(root, job):
                job.do()
        except Exception as exc:  # whatever it was, the others go on
            error = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
    return Outcome(time.perf_counter() - started, error)


def _result(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as exc:  # its process or its machine died, as often as the executor tries
        text = " ".join(str(exc).split())
        return Outcome(0.0, text if isinstance(exc, ExecutorError) else f"{type(exc).__name__}: {text:.300}")


def _this_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


class _Lines:
    """A line on standard error for each job that ended, with what is left of its kind."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._total = Counter(job.verb for job in jobs)
        self._ended: Counter[str] = Counter()
        self._began: dict[str, float] = {}

    def print(self, job: Job, outcome: Outcome) -> None:
        self._ended[job.verb] += 1
        number, total = self._ended[job.verb], self._total[job.verb]
        now = time.perf_counter()
        began = self._began.setdefault(job.verb, now - outcome.seconds)
        minutes = (now - began) / number * (total - number) / 60
        what = f"failed: {outcome.error}" if outcome.error else f"{outcome.seconds:.0f} s"
        rest = f"; {total - number} left, about {minutes:.0f} min" if number < total else ""
        print(f"[{number}/{total}] {job.verb} {job.label}: {what}{rest}", file=sys.stderr, flush=True)
