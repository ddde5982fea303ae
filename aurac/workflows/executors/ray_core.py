"""A Ray cluster: Ray places the jobs, gives each its GPUs or its part of one, and begins those again that it lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from aurac.errors import ExecutorError
from aurac.workflows.executors import TRIES, Resources, check_installed


class RayTasks(Executor):
    """Each job is a task of Ray Core; a worker that had a GPU ends with its task, so that the memory is free again."""

    def __init__(self, ray: Any, *, gpus: float, cpus: int) -> None:
        """Describe the tasks; `ray` is the connected module."""
        options = {"num_gpus": gpus, "num_cpus": cpus, "max_retries": TRIES - 1}
        self._task = ray.remote(**options)(_in_folder)
        self._folder = os.getcwd()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand it to Ray."""
        future: Future[Any] = self._task.remote(self._folder, fn, args, kwargs).future()
        return future


@contextmanager
def ray_core(resources: Resources) -> Iterator[Executor]:
    """Connect to the cluster and yield it.

    Raises:
        ExecutorError: If Ray is not installed, does not answer, or has no machine that could take a job.
    """
    with connected(resources) as ray:
        yield RayTasks(ray, gpus=gpus_of(ray, resources.gpus), cpus=cpus_of(ray, resources.cpus))


@contextmanager
def connected(resources: Resources) -> Iterator[Any]:
    """Yield the module ray, connected; a connection that was there before stays.

    Raises:
        ExecutorError: If Ray is not installed, or does not answer.
    """
    resources.check("ray")
    check_installed("ray")
    try:
        import ray
    except ImportError as exc:
        raise ExecutorError(f"Ray cannot be imported: {exc}. Install it anew: pip install 'aurac[ray]'.") from exc
    was_connected = ray.is_initialized()
    if not was_connected:
        _connect(ray, resources.address)
    try:
        yield ray
    finally:
        if not was_connected:
            ray.shutdown()


def _in_folder(folder: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do the job where the command was given: paths in a recipe count from there."""
    os.chdir(folder)
    return fn(*args, **kwargs)


def _connect(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = address or os.environ.get("RAY_ADDRESS")
    try:
        _reach(where or "")
        ray.init(
            address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None if where else False
        )
    except (ConnectionError, ValueError, RuntimeError, OSError, OverflowError) as exc:
        if not where:
            raise ExecutorError(f"Ray does not start on this machine: {_one_line(exc)}") from exc
        raise ExecutorError(
            f"no Ray cluster answers at {where}. Start one with 'ray start --head' and give its HOST:PORT with "
            "--address, or leave it out for this machine alone."
        ) from exc


def _reach(address: str) -> None:
    """Raise `OSError` if nothing listens at HOST:PORT, for which Ray itself waits minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def gpus_of(ray: Any, asked: float | None) -> float:
    """Return the GPUs of a job, or raise `ExecutorError` for more than a machine has."""
    most = _most(ray, "GPU")
    if asked is None:
        return 1.0 if most else 0.0
    if asked > most:
        raise ExecutorError(
            f"--gpus {asked:g}: no machine of the Ray cluster has more than {most:g}. Ask for that many at most, or 0."
        )
    return asked


def cpus_of(ray: Any, asked: int | None) -> int:
    """Return the cores of a job, or raise `ExecutorError` for more than a machine has."""
    most = _most(ray, "CPU")
    if asked is not None and asked > most:
        raise ExecutorError(f"--cpus {asked}: no machine of the Ray cluster has more than {most:g}. Ask for fewer.")
    return 1 if asked is None else asked


def _most(ray: Any, what: str) -> float:
    return max((node["Resources"].get(what, 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())
