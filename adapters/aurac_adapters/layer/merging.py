"""A nested adapter whose current rank is merged into the base weights: a sweep then runs at the base model's speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from peft.tuners.lora.layer import Embedding as LoraEmbedding
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import nn

from aurac.errors import AdapterError
from aurac_adapters.layer.nested import NestedAdapter, lora_layers

_TOLERANCE = 1e-2  # nats of one token in float32: far above the order of additions, far below what an adapter does


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
        self._merge()

    def set_layer_ranks(self, ranks: Mapping[str, int]) -> None:
        """Be these ranks from now on, as `NestedAdapter.set_layer_ranks`."""
        self.restore()
        self.nested.set_layer_ranks(ranks)
        self._merge()

    def _merge(self) -> None:
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


def differs(merged: MergedAdapter) -> str | None:
    """Say that merging changes the model's function, None where it does not; tried on a few tokens at the full rank.

    A model that reads the weight of a layer itself, as Mamba and its kin do with `dt_proj`, never calls the layer, so
    an attached adapter does nothing there; merged into the weight it would.
    """
    nested = merged.nested
    called: set[str] = set()
    layers = list(lora_layers(nested.model, nested.adapter_name))
    handles = [layer.register_forward_hook(lambda *_, name=name: called.add(name)) for name, layer in layers]
    try:
        nested.set_rank(nested.max_rank)
        attached = _log_probabilities(nested.model)
        merged.set_rank(merged.max_rank)
        off = float((_log_probabilities(nested.model) - attached).abs().max())
    finally:
        for handle in handles:
            handle.remove()
        merged.restore()
    if off <= _TOLERANCE:
        return None
    unused = next((name for name, _ in layers if name not in called), None)
    why = "" if unused is None else f"; the model never calls layer {unused}, it reads the weight itself"
    return f"merged weights give other numbers than the adapter (off by {off:.2g} nats{why})"


@torch.no_grad()
def _log_probabilities(model: Any) -> torch.Tensor:
    size = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(size, (1, 16), generator=torch.Generator().manual_seed(0)).to(model.device)
    decoder = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    return torch.log_softmax(model(input_ids=ids, **decoder).logits, dim=-1, dtype=torch.float32)


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
