"""Training on transformers' Trainer: `train(TrainingConfig(...))`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "TrainingConfig": "aurac_adapters.training.config",
    "train": "aurac_adapters.training.trainer",
}
__all__ = ["TrainingConfig", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'aurac_adapters.training' has no attribute {name!r}. Public names: {', '.join(__all__)}."
        )
    return getattr(import_module(_PUBLIC[name]), name)
