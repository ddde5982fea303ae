"""lm-eval at every sub-rank of an adapter: which tasks, built once; which cells, measured and recorded one by one.

The adapter is anything with `max_rank` and `set_rank(rank)`, the model anything that is an lm-eval `LM`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from aurac.registry import Registry

ENGINES = Registry(
    "engine",
    {"aurac": "aurac.harness.engine.lm:sweep_engine", "hflm": "aurac.harness.model:hflm_engine"},
    group="aurac.engines",
)
"""Name -> function (model, tokenizer, *, batch_size) -> lm-eval LM; the first is the default."""

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
