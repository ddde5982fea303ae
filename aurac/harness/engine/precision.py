"""A model of 16 bits, or of quantised layers, computing in float32 for a moment: to tell a wrong mask from rounding.

Weights are widened one block at a time, when the block is called, so that no second copy of the model is needed; they
are what they were, to the bit, afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

NARROW = (torch.bfloat16, torch.float16)
QUANTISED = ("Linear8bitLt", "Linear4bit")  # of bitsandbytes, whose weights PEFT can give back


def rounds(model: nn.Module) -> bool:
    """Tell whether the model's arithmetic rounds so much that equal functions give different numbers."""
    return any(tensor.dtype in NARROW for tensor in model.parameters()) or any(_quantised(m) for m in model.modules())


@contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """Compute in float32 inside, with the weights as they are."""
    widened: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    handles: list[Any] = []
    for unit, tensors in _units(model):
        handles += [
            unit.register_forward_pre_hook(_widen(tensors, widened), with_kwargs=True),
            unit.register_forward_hook(_narrow(tensors, widened), always_call=True),
        ]
    layers = [(layer, vars(layer).get("forward")) for layer in model.modules() if _quantised(layer)]
    for layer, _ in layers:
        layer.forward = _dequantised(layer)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer, own_forward in layers:  # accelerate gives layers one of their own
            del layer.forward
            if own_forward is not None:
                layer.forward = own_forward
        for tensor, own in widened.values():
            tensor.data = own


def _units(module: nn.Module) -> Iterator[tuple[nn.Module, list[torch.Tensor]]]:
    """Yield what is called as a whole, with its tensors: blocks of a list, and what lies beside such lists."""
    lists = [child for child in module.modules() if isinstance(child, nn.ModuleList) and len(child)]
    if not lists:
        yield module, [*module.parameters(), *module.buffers()]
    elif isinstance(module, nn.ModuleList):
        for block in module:
            yield block, [*block.parameters(), *block.buffers()]
    else:
        yield module, [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        for child in module.children():
            yield from _units(child)


def _widen(tensors: list[torch.Tensor], widened: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Any:
    def before(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        for tensor in tensors:
            if tensor.dtype in NARROW and id(tensor) not in widened:
                widened[id(tensor)] = (tensor, tensor.data)
                tensor.data = tensor.data.float()
        return args, kwargs

    return before


def _narrow(tensors: list[torch.Tensor], widened: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Any:
    def after(*_: Any) -> None:
        for tensor in tensors:
            if id(tensor) in widened:
                tensor.data = widened.pop(id(tensor))[1]

    return after


def _quantised(module: nn.Module) -> bool:
    return type(module).__name__ in QUANTISED and type(module).__module__.startswith("bitsandbytes")


def _dequantised(layer: Any) -> Any:
    def forward(x: torch.Tensor) -> torch.Tensor:
        from peft.utils.integrations import dequantize_bnb_weight

        weight = dequantize_bnb_weight(layer.weight, state=getattr(layer, "state", None)).float()
        return nn.functional.linear(x.float(), weight, None if layer.bias is None else layer.bias.float())

    return forward
