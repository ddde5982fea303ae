"""This machine: the process itself for one job at a time, else processes of their own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from aurac.errors import ExecutorError
from aurac.workflows.executors import TRIES, Resources


class ThisProcess(Executor):
    """Does each job at once, where it is handed over: with bars, and stopped by Ctrl-C."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it, and return its result as a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # that is what a future holds
            future.set_exception(exc)
        return future


class OwnProcesses(ThreadPoolExecutor):
    """Threads that each keep a process: one that is killed takes no other job with it, and its job begins again."""

    def __init__(self, n: int) -> None:
        """Start nothing yet; a process starts with the first job of its thread."""
        super().__init__(n, thread_name_prefix="aurac-job")
        self._mine = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it in the process of whichever thread is free first."""
        return super().submit(self._in_process, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads, then their processes."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait)

    def _in_process(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for _ in range(TRIES):
            if not hasattr(self._mine, "pool"):
                self._mine.pool = self._new_pool()
            try:
                return self._mine.pool.submit(fn, *args, **kwargs).result()
            except BrokenProcessPool as exc:
                died = exc
                del self._mine.pool
        raise ExecutorError(f"its process died {TRIES} times (out of memory?): {died}")

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not fork: torch's threads do not survive it.
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
        self._pools.append(pool)
        return pool


def end_with_parent() -> None:
    """End this process at once where the command that started it is gone, killed or out of memory.

    Otherwise it went on to the end of its job, hours perhaps, in the way of the same command begun again. What it was
    doing is as after a kill of its own: the next one goes on from the last checkpoint or cell.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


@contextmanager
def local(resources: Resources) -> Iterator[Executor]:
    """Yield this process for one job at a time, else as many processes, each with its share of the cores."""
    resources.check("local")
    n = resources.jobs or 1
    if n == 1:
        yield ThisProcess()
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n)))
    pool = OwnProcesses(n)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
