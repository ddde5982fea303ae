"""Trainings of a few steps on the embedded model, whole and interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from aurac import testbed
from aurac_adapters.methods.lora import Lora
from aurac_adapters.training.callbacks import MethodCallback
from aurac_adapters.training.trainer import TrainingConfig, train


def config(out: Path, **changes: Any) -> TrainingConfig:
    """Three steps of 8 examples on the embedded model."""
    defaults: dict[str, Any] = {
        "method": Lora(max_rank=4),
        "model": str(testbed.MODEL),
        "data": str(testbed.TRAIN),
        "learning_rate": 1e-2,
        "max_steps": 3,
        "batch_size": 8,
        "gradient_accumulation": 1,
        "progress": False,
    }
    return TrainingConfig(out=out, **(defaults | changes))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "training.json").read_text())


def base_model() -> Any:
    return AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)


def interrupted(wanted: TrainingConfig, step: int) -> None:
    """Start a training, and press Ctrl-C when optimizer step `step` (0-based) is to begin."""
    original = MethodCallback.on_step_begin

    def on_step_begin(self: MethodCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            raise KeyboardInterrupt
        original(self, args, state, control, **kwargs)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(MethodCallback, "on_step_begin", on_step_begin)
        with pytest.raises(KeyboardInterrupt):
            train(wanted)
