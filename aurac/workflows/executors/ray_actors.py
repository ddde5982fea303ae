"""Workers of a Ray cluster that each hold something large, such as a model, and are given one thing after another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aurac.errors import ExecutorError
from aurac.workflows.executors import TRIES, Resources
from aurac.workflows.executors.ray_core import connected, cpus_of, gpus_of

PAUSE = 15.0
"""Seconds before what was lost is begun again, and twice that before the last time: Ray takes a while to see that a
machine is gone, and until then whatever is sent there fails at once."""


def on_ray(resources: Resources, make: Callable[[], Callable[[Any], Any]], items: Iterable[Any]) -> Iterator[Any]:
    """Yield what workers make of the items, in the order in which they are done.

    Args:
        resources: `jobs` is the number of workers (default: as many as there is room for), `gpus` and `cpus` are each
            one's.
        make: Called once in every worker; returns what is called with each item. One that dies with its process or
            machine is made again elsewhere, where there is room, and its item begun again.
        items: What is to be done.

    Raises:
        ExecutorError: If the cluster cannot be used; after all else was done, if the workers of an item died each time.
    """
    with connected(resources) as ray:
        from ray.exceptions import RayError
        from ray.util import ActorPool

        gpus, cpus = gpus_of(ray, resources.gpus), cpus_of(ray, resources.cpus)
        actor = ray.remote(num_gpus=gpus, num_cpus=cpus, max_restarts=-1)(_Worker)
        left, lost = dict(enumerate(items)), ""
        for attempt in range(TRIES):
            if not left:
                return
            time.sleep(attempt * PAUSE)
            workers = min(len(left), resources.jobs or _room(ray, gpus, cpus))
            pool = ActorPool([actor.remote(os.getcwd(), make) for _ in range(workers)])
            for number, item in left.items():
                pool.submit(lambda worker, value: worker.do.remote(*value), (number, item))
            while pool.has_next():
                while pool.has_free():  # room for another that was lost and is to be made again
                    ray.kill(pool.pop_idle())
                try:
                    number, done = pool.get_next_unordered()
                except RayError as exc:  # the others go on
                    lost = " ".join(str(exc).split())[:300]
                else:
                    del left[number]
                    yield done
            while pool.has_free():
                ray.kill(pool.pop_idle())
        if left:
            raise ExecutorError(f"workers were lost {TRIES} times over the same work (out of memory?): {lost}")


class _Worker:
    def __init__(self, folder: str, make: Callable[[], Callable[[Any], Any]]) -> None:
        os.chdir(folder)  # paths count from where the command was given
        self._do = make()

    def do(self, number: int, item: Any) -> tuple[int, Any]:
        return number, self._do(item)


def _room(ray: Any, gpus: float, cpus: int) -> int:
    """Return how many workers the machines have room for together."""
    total = 0
    for node in (node["Resources"] for node in ray.nodes() if node["Alive"]):
        rooms = [int(node.get(what, 0.0) / each) for what, each in (("GPU", gpus), ("CPU", cpus)) if each]
        total += min(rooms, default=1)
    return max(1, total)
