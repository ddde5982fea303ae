"""A nested adapter whose current rank is merged into the base weights: a sweep then runs at the base model's speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora.layer import Embedding as LoraEmbedding
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import nn

from aurac.errors import AdapterError
from aurac_adapters.layer.nested import NestedAdapter, lora_layers


class MergedAdapter:
    """Sets ranks by W = W0 + B diag(p) A, from a kept W0, so that no rank leaves rounding behind for the next.

    It costs a copy of the adapted weights, and one product of matrices for each layer and rank. In float32 the logits
    are those of the gate up to the order of additions; in bfloat16 and float16 the sum would be rounded to another
    function, so those are refused, and quantised weights too.

    Attributes:
        nested: The adapter; its rank is set through this object alone.
        merged: True, for records that say how ranks were set.
    """

    merged = True

    def __init__(self, nested: NestedAdapter) -> None:
        """Keep a copy of the weights of all adapted layers.

        Raises:
            AdapterError: If the weights cannot be merged without another result; `obstacle` says why.
        """
        if (why := obstacle(nested)) is not None:
            raise AdapterError(f"the adapter cannot be merged: {why}. Use it unmerged.")
        self.nested = nested
        self._layers = [layer for _, layer in lora_layers(nested.model, nested.adapter_name)]
        self._base = [layer.get_base_layer().weight.detach().clone() for layer in self._layers]

    @property
    def max_rank(self) -> int:
        """R, the full rank."""
        return self.nested.max_rank

    def set_rank(self, rank: int) -> None:
        """Be this rank from now on, 1..R."""
        self.restore()
        self.nested.set_rank(rank)
        with torch.no_grad():
            for layer in self._layers:
                layer.merge(adapter_names=[self.nested.adapter_name])

    def set_base(self) -> None:
        """Be the base model from now on, to the bit, until a rank is set."""
        self.restore()
        self.nested.set_base()

    def restore(self) -> None:
        """Give the base its own weights again, to the bit, with the adapter unmerged beside it."""
        with torch.no_grad():
            for layer, weight in zip(self._layers, self._base, strict=True):
                if layer.merged_adapters:
                    layer.get_base_layer().weight.copy_(weight)
                    layer.merged_adapters.clear()


def obstacle(nested: NestedAdapter) -> str | None:
    """Return why an adapter should not be merged for a sweep, None where it can be."""
    users = Counter(_plain_weights(nested.model))
    for name, layer in lora_layers(nested.model, nested.adapter_name):
        weight: Any = layer.get_base_layer().weight
        if type(layer) not in (LoraLinear, LoraEmbedding):
            return f"layer {name} is {type(layer).__name__}, whose quantised weights would be rounded"
        if weight.dtype != torch.float32:
            return f"layer {name} is {str(weight.dtype).removeprefix('torch.')}, which would round the sum"
        if users[weight.data_ptr()] > 1:
            return f"the weight of layer {name} is shared with another layer, which would change with it"
    return None


def _plain_weights(model: nn.Module) -> Iterator[int]:
    """Yield where the weight of each layer lies; PEFT's wrappers only pass their base layer's on."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and not hasattr(module, "base_layer"):
            yield weight.data_ptr()
