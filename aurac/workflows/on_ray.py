"""A scoring whose cells, and ranges of documents, are answered by workers of a Ray cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import OptionError, RefusedError
from aurac.workflows.executors import Resources, check_installed
from aurac.workflows.options import ScoreOptions
from aurac.workflows.prepared import prepared

if TYPE_CHECKING:
    from aurac.harness.units import Answered, Unit

_RAY = ("address", "jobs", "gpus", "cpus")


def check_executor(options: ScoreOptions) -> None:
    """Raise an error for options that go with another executor, or with none but this process."""
    from aurac.harness import ENGINES

    if options.executor == "local":
        if given := [name for name in _RAY if getattr(options, name) is not None]:
            raise OptionError(f"--{given[0]} is for --executor ray. Give that too, or leave it out.")
        return
    if options.precision is not None or options.audit is not None:
        raise RefusedError(
            "--precision and --audit decide from the first answers which documents follow, which workers cannot share. "
            "Leave --executor out, or score all documents."
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RefusedError("several processes were started, and --executor ray starts workers. Start one process.")
    if (why := ENGINES[options.engine].one_process) is not None:
        raise RefusedError(f"engine {options.engine} {why}. Leave --executor out, or use engine aurac.")
    check_installed("ray")


def answered_on_ray(adapter: Path, options: ScoreOptions, out: Path) -> Callable[[Sequence[Unit]], Iterator[Answered]]:
    """Return what has units answered by workers that open the adapter with these options."""
    from aurac.workflows.executors.ray_actors import on_ray

    resources = Resources(folder=out, **{name: getattr(options, name) for name in _RAY})
    return partial(on_ray, resources, partial(_worker, adapter, replace(options, progress=False, executor="local")))


def _worker(adapter: Path, options: ScoreOptions) -> Callable[[Unit], Answered]:
    """Return what answers units, in a process of its own; suite and model are made for the first one."""
    from aurac.harness.scoring import facts_of
    from aurac.harness.units import Answerer
    from aurac_adapters import read_ranked

    def open_all() -> tuple[Any, Any, Any, dict[str, Any]]:
        started = time.perf_counter()
        with prepared(read_ranked(adapter), options, None) as found:
            lm, ranked = found.open(None)
        return found.suite, lm, ranked, facts_of(lm, ranked, {"model_seconds": time.perf_counter() - started})

    return Answerer(open_all).answer
