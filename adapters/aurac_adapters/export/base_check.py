"""Layers of an adapter held against its base model, where the base is a folder on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from transformers import PreTrainedModel

from aurac_adapters.base.config import load_skeleton
from aurac_adapters.folder.folder import AdapterFolder
from aurac_adapters.folder.sidecar import WEIGHTS
from aurac_adapters.folder.weights import check_fits
from aurac_adapters.layer.experts import converted_by_peft


def check_layers(found: AdapterFolder, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `AdapterError` if an adapted layer is no layer of the base model; a slice of it would do nothing.

    Of the base the configuration is read, not the weights. A base that is not on this machine, or cannot be built
    without its own code, is not looked at: cutting an adapter does not need it.
    """
    if found.base_model is None or not (Path(found.base_model) / "config.json").is_file():
        return
    skeleton = _skeleton(found.base_model)
    # Where PEFT turns experts into parameters when it loads the adapter, the names in the file are no layers.
    if skeleton is not None and not converted_by_peft(found.config, skeleton, found.path):
        check_fits(tensors, skeleton, found.path / WEIGHTS)


@lru_cache(maxsize=1)
def _skeleton(name: str) -> PreTrainedModel | None:
    try:
        return load_skeleton(name)
    except Exception:  # whatever is wrong with the base is said where it is used
        return None
