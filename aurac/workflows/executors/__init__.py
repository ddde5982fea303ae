"""Where jobs run: a table of functions that open a `concurrent.futures.Executor`.

Placing jobs, trying one again whose process or machine died, and cleaning up are the executor's; this project only
hands over what is ready. So whatever has such an executor (Dask's `Client.get_executor()`, `MPIPoolExecutor`) is one
function away.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from aurac.errors import ExecutorError, OptionError
from aurac.registry import Registry

EXECUTORS = Registry(
    "executor",
    {
        "local": "aurac.workflows.executors.local:local",
        "ray": "aurac.workflows.executors.ray_core:ray_core",
        "slurm": "aurac.workflows.executors.slurm:slurm",
    },
    group="aurac.executors",
)
"""Name -> function (Resources) -> context manager of a `concurrent.futures.Executor`; the first is the default."""

TRIES = 3
"""How often a job is begun whose process or machine dies under it."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What an executor is asked for.

    Attributes:
        folder: Where it may write logs; made when it is needed.
        jobs: Jobs at a time; None for one on this machine, and for as many as there is room on others.
        address: Of a Ray cluster, HOST:PORT or "auto"; None for RAY_ADDRESS, else one on this machine alone.
        gpus: GPUs for each job, 0.25 lets four share one; None for 1 where the cluster has any.
        cpus: Cores for each job; None for the executor's default.
        settings: KEY=VALUE for SLURM, by submitit's names.
    """

    folder: Path
    jobs: int | None = None
    address: str | None = None
    gpus: float | None = None
    cpus: int | None = None
    settings: tuple[str, ...] = ()

    def check(self, executor: str) -> None:
        """Raise `OptionError` for a field that was given and that this executor of the project has no use for."""
        if executor not in _OURS:
            return
        for name, (flag, whose) in _WHOSE.items():
            if executor not in whose and getattr(self, name) not in (None, ()):
                raise OptionError(
                    f"{flag} is not for executor {executor}, but for {' and '.join(whose)}. Leave it out, or give "
                    "another --executor."
                )


def check_installed(executor: str) -> None:
    """Raise `ExecutorError` where the package of an executor of the project is missing; nothing is imported."""
    if executor in _NEEDS and find_spec(_NEEDS[executor]) is None:
        raise ExecutorError(
            f"executor {executor} needs the package {_NEEDS[executor]}, which is not installed. Run pip install "
            f"'aurac[{executor}]'."
        )


_NEEDS = {"ray": "ray", "slurm": "submitit"}
"""Executor -> the package that it is made of."""
_OURS = ("local", "ray", "slurm")
_WHOSE = {
    "address": ("--address", ("ray",)),
    "gpus": ("--gpus", ("ray", "slurm")),
    "cpus": ("--cpus", ("ray", "slurm")),
    "settings": ("--slurm", ("slurm",)),
}
"""Field -> its flag, and the executors that it is for."""
