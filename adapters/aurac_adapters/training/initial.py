"""How the factors of an adapter begin: functions of a PEFT model, behind the names in `training.config.INITS`."""

from __future__ import annotations

import math
from typing import Any

import torch

from aurac_adapters.layer.nested import lora_layers


def by_peft(_: Any) -> None:
    """Leave what PEFT has drawn: A from U(-1/sqrt(in), 1/sqrt(in))."""


def by_authors(model: Any, adapter_name: str = "default") -> None:
    """Draw A from U(-1/sqrt(r), 1/sqrt(r)), as the MatryoshkaLoRA authors' code does (66dd464).

    There A is stored as (in, r), so that Kaiming's rule with a = sqrt(5) takes r for the fan-in: the values are
    sqrt(in / r) times larger than PEFT's. Embedding layers, which that code does not have, stay as PEFT makes them.
    """
    for _, layer in lora_layers(model, adapter_name):
        if adapter_name in layer.lora_A:
            weight = layer.lora_A[adapter_name].weight  # (r, in)
            drawn = torch.empty_like(weight.T, memory_format=torch.contiguous_format)
            with torch.no_grad():
                weight.copy_(torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5)).T)
