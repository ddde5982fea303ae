"""A checkpoint of another program becomes a standard adapter folder with a sidecar."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from math import isclose
from pathlib import Path
from typing import Any

import torch

from aurac.errors import AdapterError
from aurac_adapters.base.config import load_skeleton
from aurac_adapters.export.cards import converted_card
from aurac_adapters.export.checkpoints.layout import Factors, Layout, Tensors
from aurac_adapters.export.checkpoints.layouts import LAYOUTS, layout_of
from aurac_adapters.export.checkpoints.reading import read_tensors
from aurac_adapters.folder.weights import check_fits, check_tensors
from aurac_adapters.folder.writing import check_new, write_folder
from aurac_adapters.layer.keys import PREFIX
from aurac_adapters.methods import METHODS
from aurac_adapters.methods.method import NestedMethod
from aurac_adapters.methods.scaling import SCALINGS


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the user says about a checkpoint, because its file does not.

    Attributes:
        base: Base model, folder or hub name; its configuration is read, not its weights.
        method: Name in `METHODS`.
        scaling: Name in `SCALINGS`.
        gain: Factor in front of the rule; not needed where the checkpoint or its layout says it.
        train_ranks: S, for methods that train sub-ranks.
        layout: Name in `LAYOUTS`; not needed where the keys and shapes say it.
        inference: Inference rule to write into the folder.
        switches: Further attributes of the method.
    """

    base: str
    method: str
    scaling: str | None = None
    gain: float | None = None
    train_ranks: Sequence[int] = ()
    layout: str | None = None
    inference: str = "prefix"
    switches: dict[str, Any] = field(default_factory=dict)


def convert_checkpoint(
    checkpoint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    given: Given,
    *,
    trust_remote_code: bool = False,
) -> Path:
    """Write a checkpoint as an adapter folder, which PEFT, servers and `aurac score` take.

    Args:
        checkpoint: File with the LoRA factors, .safetensors or written by `torch.save`.
        out: Where to; must not exist, or be empty.
        given: What the file does not say.
        trust_remote_code: Whether code that comes with the base model may run.

    Returns:
        `out`.

    Raises:
        AdapterError: If the file cannot be read or converted, something is missing that must be given, or `out` holds
            something.
        ModelError: If there is no such base model.
    """
    path, target = Path(checkpoint), Path(out)
    check_new(target)
    read = read_tensors(path)
    layout: Layout = LAYOUTS[given.layout]() if given.layout else layout_of(read)
    factors = layout.factors(read)
    method = _method(given, layout, read, rank=len(next(iter(factors.values()))[0]))
    skeleton = load_skeleton(given.base, trust_remote_code=trust_remote_code)
    modules = {name for name, _ in skeleton.named_modules()}
    layers = {layout.module(stem, modules): pair for stem, pair in factors.items()}
    tensors = _peft_tensors(layers)
    config = _peft_config(method, layers, modules, given.base)
    check_tensors(tensors, config, path)
    check_fits(tensors, skeleton, path)
    card = converted_card(path, layout.maker, method, given.base)
    return write_folder(config, tensors, target, method=method, inference=given.inference, card=card)


def _method(given: Given, layout: Layout, read: Tensors, *, rank: int) -> NestedMethod:
    kind: type[NestedMethod] = METHODS[given.method]
    if kind(max_rank=1).initial_parameters():
        raise AdapterError(
            f"method {kind.name!r} learns parameters of its own, which no checkpoint of another program has. Give the "
            "method that the checkpoint was trained with."
        )
    if given.scaling is None:
        raise AdapterError(
            f"the checkpoint does not say its scaling rule. Give it with --scaling: {', '.join(SCALINGS)}."
        )
    if kind.has_train_ranks and not given.train_ranks:
        raise AdapterError(
            f"the checkpoint does not say which ranks {given.method} was trained at. Give them with --train-ranks."
        )
    if others := sorted(given.switches.keys() - {own.name for own in fields(kind)}):
        raise AdapterError(f"--{others[0].replace('_', '-')} is not for method {given.method}. Leave it out.")
    settings: dict[str, Any] = {"train_ranks": given.train_ranks, "scaling": given.scaling, **given.switches}
    rule = kind(max_rank=rank, **settings).scale(rank)
    return kind(max_rank=rank, gain=_gain(given, layout, layout.alpha(read), rule * rank), **settings)


def _gain(given: Given, layout: Layout, alpha: float | None, alpha_of_gain_1: float) -> float:
    """Return the gain that the checkpoint says, alpha = gain * rule(R) * R, or its layout, or the user."""
    stored = layout.gain if alpha is None else alpha / alpha_of_gain_1
    if stored is None:
        if given.gain is not None:
            return given.gain
        raise AdapterError(
            "the checkpoint does not say its factor. Give it with --gain: s_r is the gain times the rule, so "
            "lora_alpha / r is --scaling rank --gain LORA_ALPHA."
        )
    if given.gain is not None and not isclose(stored, given.gain, rel_tol=1e-6):
        raise AdapterError(
            f"--gain {given.gain:g} was given, but layout {layout.name} says {stored:g}. Leave out --gain, or check "
            "--scaling."
        )
    return stored


def _peft_tensors(layers: Factors) -> dict[str, torch.Tensor]:
    ends = (".lora_A.weight", ".lora_B.weight")
    return {
        PREFIX + name + end: factor for name, pair in layers.items() for end, factor in zip(ends, pair, strict=True)
    }


def _peft_config(method: NestedMethod, layers: Factors, modules: Collection[str], base: str) -> dict[str, Any]:
    targets = target_names(layers, modules)
    config: dict[str, Any] = method.lora_config(target_modules=targets).to_dict()
    return config | {"target_modules": targets, "base_model_name_or_path": base}


def target_names(layers: Collection[str], modules: Collection[str]) -> list[str]:
    """Return the last parts of the names if they mean exactly these layers to PEFT, else the whole names."""
    last = sorted({name.rpartition(".")[2] for name in layers})
    meant = {name for name in modules if name.rpartition(".")[2] in last}
    return last if meant == set(layers) else sorted(layers)
