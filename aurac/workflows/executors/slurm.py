"""SLURM, through submitit: each job is one of the queue, and is sent again where it was lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from aurac.errors import ExecutorError, OptionError
from aurac.workflows.executors import TRIES, Resources, check_installed

MOST = 256
"""Jobs in the queue at a time, where nobody says."""
_SHARED = ("timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "stderr_to_stdout")
"""Names that submitit has for every cluster; it prefixes those that are SLURM's own."""


class Resumable:
    """A job that SLURM may stop (time limit, preemption): submitit puts it into the queue again, and it goes on."""

    def __init__(self, folder: str) -> None:
        """Remember the folder that paths count from."""
        self._folder = folder

    def __call__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do it there."""
        os.chdir(self._folder)
        return fn(*args, **kwargs)

    def checkpoint(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what submitit puts into the queue again: the same, since trainings and sweeps resume by themselves."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, fn, *args, **kwargs)


class SubmittedJobs(ThreadPoolExecutor):
    """Threads that each follow one job of the queue."""

    def __init__(self, queue: Any, n: int) -> None:
        """Follow at most n jobs of `queue`, a submitit executor, at a time."""
        super().__init__(n, thread_name_prefix="aurac-slurm")
        self._queue, self._job = queue, Resumable(os.getcwd())
        self._waiting: set[Any] = set()
        self._closed = threading.Event()
        self._one_at_a_time = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Put it into the queue as soon as a thread is free to follow it."""
        return super().submit(self._follow, fn, args, kwargs)

    def cancel(self) -> None:
        """Take what is not done out of the queue."""
        self._closed.set()
        for job in list(self._waiting):
            job.cancel()

    def _follow(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for _ in range(TRIES):
            with self._one_at_a_time:
                job = self._queue.submit(self._job, fn, *args, **kwargs)
            self._waiting.add(job)
            try:
                return job.result()
            except Exception as exc:  # the job left no result: its process or its machine was lost
                lost = " ".join(str(exc).split())[:300]
            finally:
                self._waiting.discard(job)
            if self._closed.is_set():
                break
        raise ExecutorError(f"its job was lost {TRIES} times: {lost}")


@contextmanager
def slurm(resources: Resources) -> Iterator[Executor]:
    """Yield the queue; what is still in it at the end is taken out.

    Raises:
        ExecutorError: If submitit is not installed, or there is no SLURM here, or it does not know a setting.
        OptionError: If a setting is not KEY=VALUE.
    """
    resources.check("slurm")
    check_installed("slurm")
    import submitit

    settings = dict(map(_setting, resources.settings))
    cluster = settings.pop("cluster", "slurm")
    parameters = _named(resources, settings)
    try:
        queue = submitit.AutoExecutor(folder=resources.folder, cluster=str(cluster))
        queue.update_parameters(name="aurac", **parameters)
    except Exception as exc:  # submitit raises errors of many kinds
        raise ExecutorError(
            f"SLURM cannot be used: {' '.join(str(exc).split()):.300} Start the command where sbatch is, or try it on "
            "this machine with --slurm cluster=local."
        ) from exc
    jobs = SubmittedJobs(queue, resources.jobs or MOST)
    try:
        yield jobs
    finally:
        jobs.cancel()
        jobs.shutdown(cancel_futures=True)


def _named(resources: Resources, settings: dict[str, Any]) -> dict[str, Any]:
    """Return submitit's parameters: its own as they are, SLURM's with their prefix."""
    if resources.gpus is not None and resources.gpus != int(resources.gpus):
        raise OptionError(
            f"--gpus {resources.gpus:g}: SLURM gives whole GPUs only; parts of one are for --executor ray"
        )
    asked = {"gpus_per_node": None if resources.gpus is None else int(resources.gpus), "cpus_per_task": resources.cpus}
    named = {key if key in _SHARED else f"slurm_{key}": value for key, value in settings.items()}
    return {key: value for key, value in asked.items() if value is not None} | named


def _setting(text: str) -> tuple[str, str | int]:
    key, given, value = text.partition("=")
    if not (key and given and value):
        raise OptionError(f"--slurm {text}: give KEY=VALUE, such as partition=gpu or timeout_min=240")
    return key, int(value) if value.isdigit() else value
