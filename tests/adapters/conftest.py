"""Adapter folders on a tiny random Llama."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model

from aurac_adapters import NestedMethod, save_adapter
from tiny import nested, randomise, tiny_llama


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write the folder of a nested adapter."""

    def make(method: NestedMethod, name: str = "adapter", **options: Any) -> Path:
        return save_adapter(nested(method, **options), tmp_path / name)

    return make


@pytest.fixture
def make_foreign(tmp_path: Path) -> Callable[..., Path]:
    """Write a PEFT LoRA folder with PEFT alone."""

    def make(name: str = "foreign", **options: Any) -> Path:
        settings = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
        model = get_peft_model(tiny_llama(), LoraConfig(**(settings | options)))
        randomise(model)
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make
