"""A Ray cluster: Ray places the jobs, gives each its GPUs or its part of one, and begins those again that it lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from aurac.errors import ExecutorError
from aurac.workflows.executors import TRIES, Resources


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
    """Connect to the cluster and yield it; a connection that was there before stays.

    Raises:
        ExecutorError: If Ray is not installed, does not answer, or has no machine that could take a job.
    """
    resources.refuse("ray", "settings")
    try:
        import ray
    except ImportError as exc:
        raise ExecutorError("executor ray needs Ray, which is not installed. Run pip install 'aurac[ray]'.") from exc
    was_connected = ray.is_initialized()
    if not was_connected:
        _connect(ray, resources.address)
    try:
        yield RayTasks(ray, gpus=_gpus(ray, resources.gpus), cpus=_cpus(ray, resources.cpus))
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
        ray.init(
            address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None if where else False
        )
    except (ConnectionError, ValueError, RuntimeError, OSError) as exc:
        if not where:
            raise ExecutorError(f"Ray does not start on this machine: {_one_line(exc)}") from exc
        raise ExecutorError(
            f"no Ray cluster answers at {where}. Start one with 'ray start --head' and give its HOST:PORT with "
            "--address, or leave it out for this machine alone."
        ) from exc


def _gpus(ray: Any, asked: float | None) -> float:
    most = _most(ray, "GPU")
    if asked is None:
        return 1.0 if most else 0.0
    if asked > most:
        raise ExecutorError(
            f"--gpus {asked:g}: no machine of the Ray cluster has more than {most:g}. Ask for that many at most, or 0."
        )
    return asked


def _cpus(ray: Any, asked: int | None) -> int:
    most = _most(ray, "CPU")
    if asked is not None and asked > most:
        raise ExecutorError(f"--cpus {asked}: no machine of the Ray cluster has more than {most:g}. Ask for fewer.")
    return 1 if asked is None else asked


def _most(ray: Any, what: str) -> float:
    return max((node["Resources"].get(what, 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())
