"""The tensors of an adapter folder, checked before anything is built from them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from aurac.errors import AdapterError

A_KEY, B_KEY = ".lora_A.weight", ".lora_B.weight"
_PREFIX = "base_model.model."


def read_weights(path: Path, max_rank: int) -> dict[str, torch.Tensor]:
    """Read the tensors of `adapter_model.safetensors`.

    Args:
        path: The file.
        max_rank: Largest rank that the configuration allows.

    Returns:
        All tensors by key; for every layer `lora_A` of shape (rank, in) and `lora_B` of shape (out, rank).

    Raises:
        AdapterError: If the file is damaged, holds NaN, an untrained (all-zero) or incomplete adapter, or ranks that
            contradict the configuration.
    """
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, ValueError, OSError) as exc:
        raise AdapterError(
            f"{path} is damaged or no safetensors file: {exc}. Fetch or save the adapter again."
        ) from exc
    layers = lora_layer_names(tensors)
    if not layers:
        raise AdapterError(f"{path} holds no lora_A and lora_B tensors. Give a LoRA adapter of linear layers.")
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise AdapterError(
                f"{path}: {key} holds NaN or infinity; the training diverged. Use an earlier checkpoint."
            )
    for name in layers:
        _check_layer(path, tensors, name, max_rank)
    if not any(tensors[name + B_KEY].any() and tensors[name + A_KEY].any() for name in layers):
        raise AdapterError(
            f"{path}: all updates are 0, so the adapter does nothing; it was not trained. Train it first."
        )
    return tensors


def lora_layer_names(tensors: dict[str, torch.Tensor]) -> list[str]:
    """Return the keys of the adapted layers, without `.lora_A.weight`."""
    ends = [key.removesuffix(end) for end in (A_KEY, B_KEY) for key in tensors if key.endswith(end)]
    return list(dict.fromkeys(ends))


def check_fits(tensors: dict[str, torch.Tensor], model: torch.nn.Module, path: Path) -> None:
    """Raise `AdapterError` unless every adapted layer exists in the base model with these widths."""
    for name in lora_layer_names(tensors):
        inner = name.removeprefix(_PREFIX)
        try:
            layer = model.get_submodule(inner)
        except AttributeError as exc:
            raise AdapterError(
                f"{path} adapts the layer {inner}, which the base model does not have. It belongs to another base "
                "model; give the right one with --base."
            ) from exc
        expected = (tensors[name + A_KEY].shape[1], tensors[name + B_KEY].shape[0])
        found = (getattr(layer, "in_features", None), getattr(layer, "out_features", None))
        if None not in found and found != expected:
            raise AdapterError(
                f"{path}: layer {inner} is {expected[0]} to {expected[1]} wide, in the base model {found[0]} to "
                f"{found[1]}. The adapter belongs to another base model; give the right one with --base."
            )


def _check_layer(path: Path, tensors: dict[str, torch.Tensor], name: str, max_rank: int) -> None:
    for end in (A_KEY, B_KEY):
        if name + end not in tensors:
            raise AdapterError(f"{path} has no tensor {name + end}; the adapter is incomplete. Fetch or save it again.")
    a, b = tensors[name + A_KEY], tensors[name + B_KEY]
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != b.shape[1] or not 1 <= a.shape[0] <= max_rank:
        raise AdapterError(
            f"{path}: {name} has lora_A {tuple(a.shape)} and lora_B {tuple(b.shape)}, which are no (r, in) and "
            f"(out, r) with r up to {max_rank}."
        )
