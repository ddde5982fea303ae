"""A training that begins with a trained adapter, truncated to the rank of the new one.

Train at a high rank, truncate, train on for a few steps: LoRA-Squeeze (Vulic et al. 2026, arXiv 2602.10993), where the
steps after the truncation are called Cont-Squeeze.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from aurac.errors import AdapterError, RankError
from aurac_adapters.export.rotation import rotated_layers
from aurac_adapters.folder.folder import AdapterFolder, read_to_load
from aurac_adapters.folder.loading import load_adapter
from aurac_adapters.folder.retrained import is_retrained
from aurac_adapters.folder.sidecar import START, TOKENS, file_sha256
from aurac_adapters.folder.spent import training_tokens
from aurac_adapters.folder.writing import write_folder
from aurac_adapters.layer.keys import lora_layers_of
from aurac_adapters.layer.nested import NestedAdapter
from aurac_adapters.layer.options import known_options
from aurac_adapters.training.config import TrainingConfig

logger = logging.getLogger(__name__)

_NOTHING = 1e-7
"""Share of a layer's largest norm below which a column of B' is rounding: the layer's update has no such term."""


def read_start(config: TrainingConfig) -> AdapterFolder | None:
    """Return the adapter that a training begins with, checked as far as that goes without the base model.

    Raises:
        AdapterError: If the folder is no adapter that can be rotated, is of another base model, or has other layers
            than were asked for.
        RankError: If its rank is smaller than that of the training.
    """
    if config.start is None:
        return None
    if is_retrained(config.start):
        raise AdapterError(f"{config.start} holds one adapter for each rank. Give one of them, such as rank-16 in it.")
    found = read_to_load(config.start)
    rank, largest = config.method.max_rank, found.method.max_rank
    if rank > largest:
        raise RankError(f"rank {rank} is above the rank {largest} of {found.path}. Give a rank from 1 to {largest}.")
    _check_layers(found, config)
    _check_base(found, config.model)
    return found


def load_truncated(base: PreTrainedModel, start: AdapterFolder, config: TrainingConfig) -> NestedAdapter:
    """Return a plain LoRA in the base model whose update is the best one of its rank for every layer of `start`."""
    method, rng = config.method, np.random.default_rng((config.seed, config.method.max_rank))
    rank, scale = method.max_rank, method.scale(method.max_rank)
    tensors = dict(start.take_tensors())
    for layer, a, b in list(rotated_layers(start, tensors)):
        a, b = _filled(a[:rank], b[:, :rank], rng)
        tensors[layer.a], tensors[layer.b] = ((x / scale**0.5).float().contiguous() for x in (a, b))
    options = {"r": rank, "lora_alpha": method.lora_alpha, "lora_dropout": 0.0, "init_lora_weights": True}
    named = {"base_model_name_or_path": config.model, "revision": None}
    with TemporaryDirectory() as folder:
        made = write_folder(
            {**known_options(start.config), **options, **named}, tensors, Path(folder, "start"), method=method
        )
        adapter = load_adapter(base, made, is_trainable=True)
    if config.adapter_dtype == "base":
        for weight in adapter.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(base.dtype)
    return adapter


def about_start(start: AdapterFolder) -> dict[str, Any]:
    """Return what a record of a training says of the adapter that it began with."""
    return {
        "path": str(start.path),
        "sha256": start.sha256,
        "method": start.method.name,
        "max_rank": start.method.max_rank,
        TOKENS: training_tokens(start),
    }


def tokens_so_far(record: Mapping[str, Any], tokens: int) -> dict[str, int | None]:
    """Return the tokens of the whole way to an adapter, where it began with another one; None where that is unknown."""
    if (start := record.get(START)) is None:
        return {}
    return {TOKENS: None if start[TOKENS] is None else start[TOKENS] + tokens}


def _filled(a: torch.Tensor, b: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors with rows of A as PEFT draws them where the update has no term: two zeros would never move."""
    norms = b.norm(dim=0)
    empty = norms <= _NOTHING * norms.max()
    bound = a.shape[1] ** -0.5
    drawn = torch.from_numpy(rng.uniform(-bound, bound, tuple(a.shape)))
    return torch.where(empty[:, None], drawn, a), torch.where(empty, 0.0, b)


def _check_layers(found: AdapterFolder, config: TrainingConfig) -> None:
    asked = config.target_modules
    if asked == "all-linear":
        return
    patterns = [asked] if isinstance(asked, str) else [rf"(.*\.)?{re.escape(name)}" for name in asked]
    layers = [layer.inner for layer in lora_layers_of(found.tensors())]
    taken = {layer for layer in layers if any(re.fullmatch(pattern, layer) for pattern in patterns)}
    if left := [layer for layer in layers if layer not in taken]:
        given = asked if isinstance(asked, str) else ", ".join(asked)
        raise AdapterError(
            f"{found.path} has the layer {left[0]}, which the target modules {given} do not name; its own layers are "
            "trained on. Leave them out."
        )


def _check_base(found: AdapterFolder, model: str) -> None:
    """Refuse an adapter of another base model, as far as names and files tell; its shapes are compared later."""
    named = found.base_model
    if named is None or named.rstrip("/") == model.rstrip("/"):
        return
    here, there = (_weights(Path(name)) for name in (model, named))
    if here == there and here:
        return
    if bool(here) == bool(there):  # two folders with other weights, or two names on the hub
        raise AdapterError(
            f"{found.path} is an adapter of {named}, and the model is {model}. Train on that base model."
        )
    logger.warning("%s is an adapter of %s; it is trained on with %s.", found.path, named, model)


def _weights(folder: Path) -> list[str]:
    """Return the hashes of a base model's weights; none where it is not a folder on this machine."""
    return [file_sha256(file) for file in sorted(folder.glob("*.safetensors"))]
