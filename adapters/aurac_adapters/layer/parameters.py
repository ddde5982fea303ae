"""Parameters that a method itself learns, beside A and B: registered with the model, gathered, and set again.

They are parameters of the model under a name of their own, so optimizer, DDP and FSDP treat them like any other, and
PEFT does not save them: the adapter's weights stay a standard LoRA, and the folder has a second file for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from aurac_adapters.methods.method import NestedMethod, Values


def register_parameters(model: nn.Module, method: NestedMethod, adapter: str, like: nn.Parameter) -> nn.ParameterDict:
    """Give a model the parameters of a method, float32, on the device of a weight and trained if that is.

    Returns:
        Name -> parameter; empty for a method without any.
    """
    found = nn.ParameterDict(
        {
            name: nn.Parameter(
                torch.tensor(value, dtype=torch.float32, device=like.device), requires_grad=like.requires_grad
            )
            for name, value in method.parameters.items()
        }
    )
    if found:
        model.add_module(f"aurac_{adapter}", found)
    return found


def values_of(parameters: nn.ParameterDict) -> Values:
    """Return name -> value; all processes have to call it where weights are shared out."""
    return {name: whole(weight.detach()).cpu().numpy() for name, weight in parameters.items()}


def set_values(parameters: nn.ParameterDict, values: Mapping[str, Any]) -> None:
    """Write values into the parameters, each process its share."""
    with torch.no_grad():
        for name, weight in parameters.items():
            value = torch.tensor(values[name]).to(weight.device)
            if hasattr(weight, "device_mesh"):  # a DTensor
                from torch.distributed.tensor import distribute_tensor

                value = distribute_tensor(value, weight.device_mesh, weight.placements)
            weight.copy_(value)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a weight in one piece; all processes have to call it where it is shared out."""
    gather = getattr(tensor, "full_tensor", None)  # of a DTensor
    return tensor if gather is None else gather()
