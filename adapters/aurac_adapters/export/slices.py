"""A sub-rank as an adapter of its own: a plain PEFT folder that PEFT and servers load without this project."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from aurac.errors import AdapterError
from aurac_adapters.export.base_check import check_layers
from aurac_adapters.export.cards import Origin, slice_card
from aurac_adapters.export.padding import check_padding, pad_layers
from aurac_adapters.folder.folder import AdapterFolder, read_folder
from aurac_adapters.folder.writing import write_folder
from aurac_adapters.layer.config import has_patterns
from aurac_adapters.layer.keys import Layer, lora_layers_of
from aurac_adapters.layer.layer_gate import served_diagonal
from aurac_adapters.layer.options import known_options
from aurac_adapters.methods.method import check_rank


def export_slice(
    folder: str | os.PathLike[str],
    rank: int,
    out: str | os.PathLike[str],
    *,
    inference: str | None = None,
    pad_to: int | None = None,
    base: str | None = None,
) -> Path:
    """Write one sub-rank as a plain PEFT folder whose logits are those of our evaluation at that rank.

    Args:
        folder: An adapter folder.
        rank: 1..R.
        out: Where to; must not exist, or be empty.
        inference: A rule in `INFERENCES`, perhaps with a gain; by default what the folder says. A diagonal that is not
            the same number everywhere is folded into `lora_B`.
        pad_to: Fill up to this rank with zeros, for servers that allow few ranks; the function stays the same.
        base: Name of the base model to write into the slice, which is not read; by default what the folder says.

    Returns:
        `out`, with `r` = rank, `use_rslora` false and no patterns, as servers want it, and a model card.

    Raises:
        RankError: If the rank is not in 1..R, or larger than `pad_to`.
        AdapterError: If the folder cannot be sliced, or `out` holds something.
    """
    found, tensors = read_folder(folder)
    check_layers(found, tensors)
    if pattern := has_patterns(found.config):
        raise AdapterError(
            f"{found.path} has layers with ranks or factors of their own ({pattern}), which some servers ignore. Merge "
            "it (aurac slice --merge), or make it uniform with aurac_adapters.svd_rotate and slice the result."
        )
    inference = inference or found.inference
    rank = check_rank(rank, found.method.max_rank)
    width = rank
    if pad_to is not None:
        check_padding(rank, pad_to)
        width = check_rank(pad_to, what="pad_to")
    layers = lora_layers_of(tensors)
    p = _diagonals(found, tensors, layers, rank, inference)  # (layers, rank)
    uniform = bool((p == p[0, 0]).all())
    for layer, own in zip(layers, p, strict=True):
        b = tensors[layer.b][:, :rank]
        tensors[layer.a] = tensors[layer.a][:rank].contiguous()
        tensors[layer.b] = (b if uniform else (b.double() * own).to(_at_least_float32(b.dtype))).contiguous()
    pad_layers(tensors, layers, width)
    config = {**known_options(found.config), "r": width, "lora_alpha": (float(p[0, 0]) if uniform else 1.0) * width}
    if isinstance(config.get("target_modules"), str):  # a regular expression, which SGLang refuses
        config |= {"target_modules": sorted(layer.inner for layer in layers), "exclude_modules": None}
    if base is not None:
        config |= {"base_model_name_or_path": base, "revision": None}
    card = slice_card(Origin(found, rank, inference), config, out=Path(out))
    return write_folder(config, tensors, Path(out), card=card)


def _diagonals(
    found: AdapterFolder, tensors: Mapping[str, torch.Tensor], layers: Sequence[Layer], rank: int, inference: str
) -> torch.Tensor:
    """Return the first r numbers of the diagonal of each layer, shape (layers, r)."""
    factors = ((tensors[layer.a], tensors[layer.b]) for layer in layers)
    rows = [served_diagonal(found.method, rank, inference, a, b)[:rank] for a, b in factors]
    return torch.tensor(np.stack(rows))


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return the type for a product with p, which 16 bits would round by up to 0.4 %."""
    return torch.promote_types(dtype, torch.float32)
