"""`attach`: turn the LoRA layers of a PEFT model into nested ones, and the handle that sets their rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import isclose
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora.layer import Embedding as LoraEmbedding
from peft.tuners.lora.layer import LoraLayer
from torch import nn

from aurac.errors import AdapterError
from aurac_adapters.layer.base_only import check_can_be_base, switch
from aurac_adapters.layer.config import check_config
from aurac_adapters.layer.experts import parameters_reason
from aurac_adapters.layer.factors import factor_a, factor_b
from aurac_adapters.layer.gate import NestedEmbeddingVariant, NestedVariant, Ranks, RankState
from aurac_adapters.layer.parameters import register_parameters
from aurac_adapters.methods.method import NestedMethod, check_rank

# PEFT's layers that apply the variant in forward. Others (AWQ, AQLM, EETQ, INC, TransformerEngine, Megatron,
# ParamWrapper, MultiheadAttention; TorchAO when it merges) would ignore it without a word, and Conv has other shapes.
_SUPPORTED: dict[str, type[NestedVariant]] = {
    "Linear": NestedVariant,
    "Linear4bit": NestedVariant,
    "Linear8bitLt": NestedVariant,
    "GPTQLoraLinear": NestedVariant,
    "HqqLoraLinear": NestedVariant,
    "Embedding": NestedEmbeddingVariant,
}
# A gate for each, made before the first call, lets torch.compile trace one graph for all ranks.
_USUAL_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class NestedAdapter:
    """An adapter in a model, at any of its ranks; what `attach` and `load_adapter` return.

    Attributes:
        model: The PEFT model.
        state: The rank state that all layers share.
        adapter_name: PEFT's name of the adapter.
        training: What was not the default in training, such as {"init": "authors"}; sidecars keep it.
    """

    training: Mapping[str, str | float]

    def __init__(self, model: Any, state: RankState, adapter_name: str) -> None:
        """Keep the three; use `attach` to make one."""
        self.model, self.state, self.adapter_name = model, state, adapter_name
        self.training = {}
        self._is_base = False
        self._layers = [layer for _, layer in lora_layers(model, adapter_name)]

    @property
    def method(self) -> NestedMethod:
        """The method with its ranks and scaling."""
        return self.state.method

    @property
    def max_rank(self) -> int:
        """R, the full rank."""
        return self.state.method.max_rank

    @property
    def inference(self) -> str:
        """The inference rule, a name in `INFERENCES`, perhaps with a gain ("prefix-gain-4")."""
        return self.state.inference

    @property
    def rank(self) -> int | tuple[int, ...]:
        """The rank at inference, or one for each row of the batch."""
        return self.state.rank

    def set_rank(self, rank: Ranks) -> None:
        """Evaluate at this rank from now on; a sequence or 1-D tensor gives every row of the batch its own.

        Raises:
            RankError: If a rank is not in 1..R.
            AdapterError: While the adapter is merged into the base weights.
        """
        self._check_unmerged()
        self.state.set_rank(rank)
        self._leave_base()

    def set_layer_ranks(self, ranks: Mapping[str, int]) -> None:
        """Evaluate every layer at a rank of its own from now on, until `set_rank`.

        Args:
            ranks: Name of each layer, as in the keys of its tensors up to `.lora_A` -> rank, from 0 for a layer that is
                to do nothing.

        Raises:
            AdapterError: If the layers are not those of the adapter, or while it is merged into the base weights.
            RankError: If a rank is not in 0..R, or all are 0.
        """
        self._check_unmerged()
        layers = dict(lora_layers(self.model, self.adapter_name))
        if differing := sorted(layers.keys() ^ ranks.keys()):
            raise AdapterError(f"ranks were given for other layers than the adapter has, such as {differing[0]}.")
        for rank in {*ranks.values()} - {0}:
            check_rank(rank, self.max_rank)
        check_rank(max(ranks.values()), what="the largest rank of a layer")
        gates = {name: layer.lora_variant[self.adapter_name] for name, layer in layers.items()}
        self.state.set_layer_ranks(
            {gates[name].own_gate(layers[name], self.adapter_name): rank for name, rank in ranks.items()}
        )
        self._leave_base()

    def _check_unmerged(self) -> None:
        if any(self.adapter_name in layer.merged_adapters for layer in self._layers):
            raise AdapterError("the adapter is merged, so its rank is fixed. Unmerge it first.")

    def _leave_base(self) -> None:
        if self._is_base:
            switch(self.model, to_base=False)
            self._is_base = False

    def set_base(self) -> None:
        """Be the base model from now on, as if there were no adapter, until a rank is set.

        Raises:
            AdapterError: While the adapter is merged, or where training replaced biases of the base model.
        """
        if any(layer.merged_adapters for layer in self._layers):
            raise AdapterError("the adapter is merged. Unmerge it first.")
        check_can_be_base(self.model.peft_config[self.adapter_name].to_dict(), f"the adapter {self.adapter_name!r}")
        switch(self.model, to_base=True)
        self._is_base = True

    def set_step(self, step: int, *, rows: Sequence[int] = (0,)) -> None:
        """Train with the diagonal of optimizer step `step` (0-based) from now on; never between forward and backward.

        Args:
            step: Optimizer step.
            rows: For a method that draws for each row: the positions, in the whole batch of the step, of the rows that
                the next forward pass will see.
        """
        self.state.set_step(step, rows=rows)


def attach(
    model: PeftModel | nn.Module,
    method: NestedMethod,
    *,
    adapter_name: str = "default",
    inference: str | None = None,
    strict: bool = True,
) -> NestedAdapter:
    """Make the LoRA layers of an adapter nested: y = W0 x + B diag(p) A x, with p from the method.

    In training mode (`model.train()`) p is the method's training diagonal, in evaluation mode the inference diagonal.

    Args:
        model: A model with LoRA layers, as `get_peft_model` or `PeftModel.from_pretrained` return it.
        method: Ranks, scaling and diagonal.
        adapter_name: PEFT's name of the adapter.
        inference: A rule in `INFERENCES`, perhaps with a gain ("prefix-gain-4"); by default the method's own, which is
            "prefix" for most.
        strict: Whether every layer must have rank R and scaling s_R; False for LoRA of other makers, where layers may
            differ and rank r means the first min(r, R_layer) rows.

    Raises:
        AdapterError: If there is no such adapter, or a layer cannot be nested; the message names it.
    """
    layers = list(lora_layers(model, adapter_name))
    if not layers:
        raise AdapterError(f"the model has no LoRA layers of an adapter {adapter_name!r}. Make it with get_peft_model.")
    if (config := getattr(model, "peft_config", {}).get(adapter_name)) is not None:
        check_config(config.to_dict(), f"the adapter {adapter_name!r}")
    for name, layer in layers:
        _check_layer(name, layer, method, adapter_name, strict)
    state = RankState(method, inference=inference or method.default_inference)
    state.parameters = register_parameters(model, method, adapter_name, factor_a(layers[0][1], adapter_name))
    for _, layer in layers:
        layer.lora_variant[adapter_name] = _SUPPORTED[type(layer).__name__](state, layer, adapter_name)
        if isinstance(layer, LoraEmbedding):
            layer._mixed_batch_forward = _refuse_mixed_batch
    _mask_gradients(layers, state, adapter_name)
    _make_gates(layers, state, adapter_name)
    return NestedAdapter(model, state, adapter_name)


@contextmanager
def at_rank(adapter: NestedAdapter | nn.Module, rank: Ranks) -> Iterator[NestedAdapter]:
    """Evaluate at a rank inside the `with` block, and at the rank of before after it.

    Args:
        adapter: The handle, or a model that `attach` made nested.
        rank: 1..R, or one for each row of the batch.
    """
    nested = adapter if isinstance(adapter, NestedAdapter) else find_nested(adapter)
    before = nested.rank
    nested.set_rank(rank)
    try:
        yield nested
    finally:
        nested.set_rank(before)


def find_nested(model: nn.Module) -> NestedAdapter:
    """Return the handle of a model's nested adapter, or raise `AdapterError` if `attach` was never called."""
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name, variant in module.lora_variant.items():
                if isinstance(variant, NestedVariant):
                    return NestedAdapter(model, variant.state, name)
    raise AdapterError("the model has no nested adapter. Call attach(model, method) or load_adapter(model, folder).")


def lora_layers(model: nn.Module, adapter_name: str) -> Iterator[tuple[str, Any]]:
    """Yield name and layer of every LoRA layer that holds the adapter."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and adapter_name in module.r:
            yield name, module


def _mask_gradients(layers: list[tuple[str, Any]], state: RankState, adapter: str) -> None:
    if state.method.gradient_mask(0) is None:
        return
    for _, layer in layers:
        for dim, weight in enumerate((factor_a(layer, adapter), factor_b(layer, adapter))):
            if weight.requires_grad:  # not when it was loaded to be used only
                weight.register_hook(partial(state.mask_gradient, dim=dim))  # type: ignore[no-untyped-call]


def _make_gates(layers: list[tuple[str, Any]], state: RankState, adapter: str) -> None:
    for device in {factor_a(layer, adapter).device for _, layer in layers}:
        for dtype in _USUAL_DTYPES:
            if not state.by_layer:
                state.gate(False, device, dtype)
            if state.method.trainable:
                state.gate(True, device, dtype)
    for own in state.layer_gates:
        for dtype in _USUAL_DTYPES:
            own.gate(factor_a(own.layer, adapter).device, dtype)


def _refuse_mixed_batch(*_: Any, **__: Any) -> torch.Tensor:
    # PEFT's mixed batches call every variant but those of embedding layers, which would stay at the full rank.
    raise AdapterError("embedding layers take no adapter_names. Give each row its own rank with set_rank instead.")


def _check_layer(name: str, layer: Any, method: NestedMethod, adapter: str, strict: bool) -> None:
    kind = type(layer).__name__
    if kind == "ParamWrapper":
        raise AdapterError(f"the adapter {adapter!r} {parameters_reason([f'{name}.{layer.parameter_name}'])}")
    if kind not in _SUPPORTED:
        raise AdapterError(
            f"layer {name} is {kind}, which cannot be nested. Supported: {', '.join(sorted(_SUPPORTED))}."
        )
    if layer.merged:
        raise AdapterError(f"layer {name} has a merged adapter. Unmerge it first.")
    if (variant := layer.lora_variant.get(adapter)) is not None:
        what = "nested already" if isinstance(variant, NestedVariant) else f"a {type(variant).__name__}"
        raise AdapterError(
            f"layer {name} is {what}; one variant an adapter is possible. Use plain LoRA (use_dora=False)."
        )
    if layer.lora_bias[adapter]:
        raise AdapterError(f"layer {name} has lora_bias, which no rank indexes. Train with lora_bias=False.")
    if not strict:
        return
    if layer.r[adapter] != method.max_rank:
        raise AdapterError(
            f"layer {name} has rank {layer.r[adapter]}, the method max_rank {method.max_rank}. Make them equal."
        )
    expected = method.scale(method.max_rank)
    if not isclose(layer.scaling[adapter], expected, rel_tol=1e-6):
        raise AdapterError(
            f"layer {name} is scaled by {layer.scaling[adapter]:g}, the method needs s_R = {expected:g}. Take the "
            "configuration from method.lora_config()."
        )
