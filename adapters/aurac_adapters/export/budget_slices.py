"""An adapter at a budget of parameters as a plain PEFT folder: a rank for each layer, or all filled up to one rank."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from aurac.errors import RankError
from aurac_adapters.export.base_check import check_layers
from aurac_adapters.export.cards import Origin, slice_card
from aurac_adapters.export.padding import check_padding, pad_layers
from aurac_adapters.folder.budgets import LayerRanks, plan_budgets
from aurac_adapters.folder.folder import AdapterFolder, read_to_load
from aurac_adapters.folder.writing import write_folder
from aurac_adapters.layer.config import layer_scaling
from aurac_adapters.layer.keys import Layer, lora_layers_of
from aurac_adapters.layer.layer_gate import served_diagonal
from aurac_adapters.layer.options import known_options
from aurac_adapters.methods.method import check_rank


@dataclass(frozen=True)
class _Cut:
    """A layer at its rank: A (r, in), B (out, r), and the factor in front of B A."""

    a: torch.Tensor
    b: torch.Tensor
    factor: float

    def folded(self) -> _Cut:
        """Return the same update with the factor in B."""
        b = self.b if self.factor == 1 else (self.b.double() * self.factor).to(_at_least_float32(self.b.dtype))
        return _Cut(self.a, b, 1.0)


def export_budget(
    folder: str | os.PathLike[str],
    budget: float,
    out: str | os.PathLike[str],
    *,
    inference: str | None = None,
    pad_to: int | Literal["max"] | None = None,
    base: str | None = None,
) -> Path:
    """Write an adapter at a budget as a plain PEFT folder whose logits are those of our evaluation at that budget.

    Args:
        folder: An adapter folder.
        budget: A share of its parameters, above 0 and up to 1, or a number of parameters.
        out: Where to; must not exist, or be empty.
        inference: A rule in `INFERENCES`, perhaps with a gain; by default what the folder says.
        pad_to: Fill all layers up to this rank with zeros, "max" for the largest rank of a layer, for servers that
            ignore patterns; the function stays the same.
        base: Name of the base model to write into the slice, which is not read; by default what the folder says.

    Returns:
        `out`. Without `pad_to` layers have ranks of their own (`rank_pattern`, `alpha_pattern`), and a layer that got
        none is left out.

    Raises:
        RankError: If the budget is none, holds no rank of any layer, or has a layer of a larger rank than `pad_to`.
        AdapterError: If the folder cannot be sliced, or `out` holds something.
    """
    found = read_to_load(folder)
    tensors = dict(found.tensors())
    check_layers(found, tensors)
    chosen = next(iter(plan_budgets(found, [budget]).budgets.values()))
    inference = inference or found.inference
    layers = [layer for layer in lora_layers_of(tensors) if pad_to is not None or chosen.ranks[layer.name]]
    cuts = {layer: _cut(found, tensors, layer, chosen.ranks[layer.name], inference) for layer in layers}
    if pad_to is not None and len({cut.factor for cut in cuts.values() if len(cut.a)}) > 1:
        cuts = {layer: cut.folded() for layer, cut in cuts.items()}
    kept = {key: tensor for key, tensor in tensors.items() if not any(key in (x.a, x.b) for x in lora_layers_of([key]))}
    kept |= {layer.a: cut.a.contiguous() for layer, cut in cuts.items()}
    kept |= {layer.b: cut.b.contiguous() for layer, cut in cuts.items()}
    config = {**known_options(found.config), **_targets(found, layers, chosen.ranks)}
    if base is not None:
        config |= {"base_model_name_or_path": base, "revision": None}
    if pad_to is None:
        patterns = _patterns(cuts)
    else:
        width = _width(chosen.ranks, pad_to)
        pad_layers(kept, layers, width)
        factor = next(cut.factor for cut in cuts.values() if len(cut.a))
        patterns = {"r": width, "lora_alpha": factor * width, "rank_pattern": {}, "alpha_pattern": {}}
    config |= patterns
    origin = Origin(found, max(chosen.ranks.values()), inference, budget=chosen)
    card = slice_card(origin, config, out=Path(out))
    return write_folder(config, kept, Path(out), card=card, patterns=patterns)


def _cut(found: AdapterFolder, tensors: Mapping[str, torch.Tensor], layer: Layer, rank: int, inference: str) -> _Cut:
    a, b = tensors[layer.a], tensors[layer.b]
    if rank == 0:
        return _Cut(a[:0], b[:, :0], 1.0)
    p = torch.tensor(served_diagonal(found.method, rank, inference, a, b)[:rank])
    # Relative to PEFT's own factor, which may differ by layer.
    p = p / found.method.scale(found.method.max_rank) * layer_scaling(found.config, layer.name)
    if bool((p == p[0]).all()):
        return _Cut(a[:rank], b[:, :rank], float(p[0]))
    return _Cut(a[:rank], (b[:, :rank].double() * p).to(_at_least_float32(b.dtype)), 1.0)


def _patterns(cuts: Mapping[Layer, _Cut]) -> dict[str, Any]:
    """Return rank and alpha of the configuration: those of the largest layer, and patterns for those that differ."""
    ranks = {layer.inner: len(cut.a) for layer, cut in cuts.items()}
    alphas = {layer.inner: cut.factor * len(cut.a) for layer, cut in cuts.items()}
    largest = max(ranks, key=ranks.__getitem__)
    return {
        "r": ranks[largest],
        "lora_alpha": alphas[largest],
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != ranks[largest]},
        "alpha_pattern": {name: alpha for name, alpha in alphas.items() if alpha != alphas[largest]},
    }


def _targets(found: AdapterFolder, layers: list[Layer], ranks: LayerRanks) -> dict[str, Any]:
    """Return `target_modules` by name where layers are left out, or where it is a regular expression."""
    if len(layers) == len(ranks) and not isinstance(found.config.get("target_modules"), str):
        return {}
    every = {"exclude_modules": None, "layers_to_transform": None, "layers_pattern": None}
    return {"target_modules": sorted(layer.inner for layer in layers), **every}


def _width(ranks: LayerRanks, pad_to: int | Literal["max"]) -> int:
    largest = max(ranks.values())
    if pad_to == "max":
        return largest
    try:
        check_padding(largest, pad_to)
    except RankError as exc:
        raise RankError(f"the largest layer of this budget has rank {largest}, so {exc}") from exc
    return check_rank(pad_to, what="pad_to")


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return the type for a product with p, which 16 bits would round by up to 0.4 %."""
    return torch.promote_types(dtype, torch.float32)
