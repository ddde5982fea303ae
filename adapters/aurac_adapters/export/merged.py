"""A sub-rank merged into its base model: a plain transformers folder that needs neither PEFT nor this project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from aurac.errors import AdapterError, ModelError
from aurac_adapters.base.config import load_config
from aurac_adapters.base.model import load_base
from aurac_adapters.export.cards import Origin, merged_card
from aurac_adapters.folder.folder import read_folder
from aurac_adapters.folder.loading import load_read
from aurac_adapters.folder.writing import CARD, check_new, new_folder
from aurac_adapters.layer.nested import NestedAdapter, lora_layers
from aurac_adapters.methods.method import check_rank


def export_merged(
    folder: str | os.PathLike[str],
    rank: int,
    out: str | os.PathLike[str],
    *,
    inference: str | None = None,
    base: str | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Merge one sub-rank into the base model and write the whole model, with its tokenizer.

    The weights keep the type that the base model is stored in. In float32 the logits are those of the adapter beside
    the base; in 16 bits the sums are rounded.

    Args:
        folder: An adapter folder.
        rank: 1..R.
        out: Where to; must not exist, or be empty.
        inference: A rule in `INFERENCES`, perhaps with a gain; by default what the folder says.
        base: Base model, folder or hub name; by default what the folder says.
        trust_remote_code: Whether code that comes with the model may run.

    Returns:
        `out`, a folder that transformers loads.

    Raises:
        RankError: If the rank is not in 1..R.
        ModelError: If the base model is not named, cannot be loaded or is quantised.
        AdapterError: If the folder cannot be merged, or `out` holds something.
    """
    (found, tensors), target = read_folder(folder), Path(out)
    rank = check_rank(rank, found.method.max_rank)
    check_new(target)
    name = base or found.base_model
    if name is None:
        raise ModelError(f"{found.path} does not name its base model. Give it with --base.")
    config = load_config(name, trust_remote_code=trust_remote_code)
    _refuse_quantised(config, name)
    dtype = getattr(config, "dtype", None) or torch.float32
    model, tokenizer = load_base(name, dtype=dtype, trust_remote_code=trust_remote_code)
    nested = load_read(model, found, tensors, inference=inference)
    _refuse_shared_weights(nested, found.path)
    nested.set_rank(rank)
    merged = nested.model.merge_and_unload(safe_merge=True)
    merged.config.use_cache = getattr(config, "use_cache", True)  # load_base switched it off
    card = merged_card(Origin(found, rank, nested.inference), name, dtype=str(dtype).removeprefix("torch."), out=target)
    with new_folder(target) as unfinished:
        merged.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / CARD).write_text(card, encoding="utf-8")
    return target


def _refuse_quantised(config: Any, name: str) -> None:
    if quantisation := getattr(config, "quantization_config", None):
        kind = quantisation.get("quant_method") if isinstance(quantisation, dict) else type(quantisation).__name__
        raise ModelError(
            f"the base model {name} is quantised ({kind}): a merged weight would be rounded a second time, by more "
            "than the adapter changes. Give the unquantised model with --base, or serve the slice beside this one."
        )


def _refuse_shared_weights(nested: NestedAdapter, path: Path) -> None:
    """Raise `AdapterError` if a layer that is to change shares its weight with another one, as tied embeddings do."""
    for name, layer in lora_layers(nested.model, nested.adapter_name):
        base = layer.get_base_layer()
        for other, module in nested.model.named_modules():
            if module is not layer and module is not base and getattr(module, "weight", None) is base.weight:
                raise AdapterError(
                    f"{path} adapts {_plain(name)}, whose weight {_plain(other)} shares; merged, both would change. "
                    "Serve the slice beside the base model instead."
                )


def _plain(name: str) -> str:
    return name.removeprefix("base_model.model.")
