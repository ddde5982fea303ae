"""The two factors of a LoRA layer of PEFT, which names them differently in linear and in embedding layers."""

from __future__ import annotations

from typing import Any

import torch


def factor_a(module: Any, adapter: str) -> torch.nn.Parameter:
    """Return the parameter A of a LoRA layer, shape (R, in)."""
    is_embedding = adapter in module.lora_embedding_A
    return module.lora_embedding_A[adapter] if is_embedding else module.lora_A[adapter].weight  # type: ignore[no-any-return]


def factor_b(module: Any, adapter: str) -> torch.nn.Parameter:
    """Return the parameter B of a LoRA layer, shape (out, R)."""
    is_embedding = adapter in module.lora_embedding_B
    return module.lora_embedding_B[adapter] if is_embedding else module.lora_B[adapter].weight  # type: ignore[no-any-return]
