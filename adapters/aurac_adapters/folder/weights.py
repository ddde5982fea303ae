"""The tensors of an adapter folder, checked before anything is built from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from aurac.errors import AdapterError
from aurac_adapters.folder.key_names import clean_keys
from aurac_adapters.folder.shapes import check_shapes
from aurac_adapters.layer.config import check_lookup, layer_rank
from aurac_adapters.layer.keys import Layer, lora_layers_of
from aurac_adapters.layer.targets import check_targets

_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

_EXPERT = re.compile(r"\bexperts\.\d+\.")


@dataclass(frozen=True)
class Weights:
    """The tensors of an adapter file.

    Attributes:
        tensors: By key as PEFT writes it; for every layer `lora_A` of shape (rank, in) and `lora_B` of shape (out,
            rank).
        note: What its keys had in them that PEFT would not find; None where they are as PEFT writes them.
    """

    tensors: dict[str, torch.Tensor]
    note: str | None


def read_weights(path: Path, config: Mapping[str, Any]) -> Weights:
    """Read the tensors of `adapter_model.safetensors`.

    Args:
        path: The file.
        config: PEFT's configuration of the adapter, checked by `check_config`.

    Raises:
        AdapterError: If the file is damaged, has keys that mean nothing to PEFT, holds NaN, an untrained (all-zero) or
            incomplete adapter, or ranks that contradict the configuration.
    """
    try:
        raw: dict[str, torch.Tensor] = load_file(path)
    except Exception as exc:  # a stranger's file fails in many ways
        if isinstance(exc, OSError) and exc.errno is not None:
            raise
        raise AdapterError(
            f"{path} is damaged or no safetensors file: {exc}. Fetch or save the adapter again."
        ) from exc
    keys = clean_keys(raw, path)
    tensors = {keys.names[key]: tensor for key, tensor in raw.items()}
    check_tensors(tensors, config, path)
    return Weights(tensors, keys.note)


def check_tensors(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], path: Path) -> None:
    """Raise `AdapterError` for NaN, an untrained or incomplete adapter, or ranks that contradict the configuration."""
    layers = lora_layers_of(tensors)
    if not layers:
        raise AdapterError(f"{path} holds no lora_A and lora_B tensors. Give a LoRA adapter of linear layers.")
    for layer in layers:
        for key in (layer.a, layer.b):
            if key in tensors and tensors[key].dtype not in _DTYPES:
                kind = str(tensors[key].dtype).removeprefix("torch.")
                raise AdapterError(f"{path}: {key} is of type {kind}; float32, bfloat16 or float16 is needed.")
    for key, tensor in tensors.items():
        if tensor.dtype in _DTYPES and not torch.isfinite(tensor).all():
            raise AdapterError(
                f"{path}: {key} holds NaN or infinity; the training diverged. Use an earlier checkpoint."
            )
    check_lookup(config, [layer.name for layer in layers], path)
    check_targets(config, layers, path)
    for layer in layers:
        _check_layer(path, tensors, layer, layer_rank(config, layer.name))
    if not any(tensors[layer.b].any() and tensors[layer.a].any() for layer in layers):
        raise AdapterError(
            f"{path}: all updates are 0, so the adapter does nothing; it was not trained. Train it first."
        )


def check_fits(tensors: Mapping[str, torch.Tensor], base: torch.nn.Module, path: Path) -> None:
    """Raise `AdapterError` unless every adapted layer exists in the base model with these widths."""
    from peft.tuners.tuners_utils import _get_in_out_features

    for layer in lora_layers_of(tensors):
        try:
            module = base.get_submodule(layer.inner)
        except AttributeError as exc:
            raise AdapterError(
                f"{path} adapts the layer {layer.inner}, which the base model does not have. {_why(layer.inner, base)}"
            ) from exc
        expected = (tensors[layer.a].shape[1], tensors[layer.b].shape[0])
        found = _get_in_out_features(getattr(module, "base_layer", module))  # (None, None) if PEFT does not know it
        if None not in found and tuple(found) != expected:
            raise AdapterError(
                f"{path}: layer {layer.inner} is {expected[0]} to {expected[1]} wide, in the base model {found[0]} to "
                f"{found[1]}. The adapter belongs to another base model; give the right one with --base."
            )


def _why(name: str, base: torch.nn.Module) -> str:
    """Say what is wrong with the name of a layer: parts of it that are too many, or another base model."""
    if _EXPERT.search(name) and any(_holds_experts_in_one(module) for module in base.modules()):
        return (
            "It holds its experts in one tensor, as transformers 5 does, and for this kind of model PEFT makes nothing "
            "of an adapter of single experts. Use the transformers that it was trained with, or adapt other layers."
        )
    parts, known = name.split("."), {module for module, _ in base.named_modules()}
    for end in range(1, len(parts)):  # a wrapper has one part or a few in a row
        for start in range(end):
            if (rest := ".".join([*parts[:start], *parts[end:]])) in known:
                wrapper = ".".join(parts[start:end])
                return f"It has {rest}: {wrapper!r} is a wrapper that is not known. Take it out of the keys."
    return "The adapter belongs to another base model; give the right one with --base."


def _holds_experts_in_one(module: torch.nn.Module) -> bool:
    return {"gate_up_proj", "down_proj"} <= {name for name, _ in module.named_parameters(recurse=False)}


def _check_layer(path: Path, tensors: Mapping[str, torch.Tensor], layer: Layer, rank: int) -> None:
    for key in (layer.a, layer.b):
        if key not in tensors:
            raise AdapterError(f"{path} has no tensor {key}; the adapter is incomplete. Fetch or save it again.")
    check_shapes(path, layer, tensors[layer.a].shape, tensors[layer.b].shape, rank)
