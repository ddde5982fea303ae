"""lm-eval at every sub-rank of an adapter: which tasks, built once; which cells, measured and recorded one by one.

The adapter is anything with `max_rank` and `set_rank(rank)`, the model anything that is an lm-eval `LM`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from aurac.registry import Registry


def _must_be_engine(name: str, value: Any) -> str | None:
    from aurac.harness.opening import must_be_engine

    return must_be_engine(name, value)


ENGINES = Registry(
    "engine",
    {
        "aurac": "aurac.harness.in_memory:AURAC",
        "hflm": "aurac.harness.in_memory:HFLM",
        "vllm": "aurac.harness.in_vllm.engine:VLLM",
        "server": "aurac.harness.server.engine:SERVER",
    },
    group="aurac.engines",
    check=_must_be_engine,
)
"""Name -> `aurac.harness.opening.Engine`: what it needs, and how it is opened; the first is the default."""

_PUBLIC = {
    "TaskRequest": "aurac.harness.protocols",
    "build_suite": "aurac.harness.suite",
    "parse_tasks": "aurac.harness.protocols",
    "score_adapter": "aurac.harness.scoring",
}
__all__ = ["ENGINES", "TaskRequest", "build_suite", "parse_tasks", "score_adapter"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aurac.harness' has no attribute {name!r}. Public names: {', '.join(__all__)}.")
    return getattr(import_module(_PUBLIC[name]), name)
