"""`load_adapter`: a base model and an adapter folder become a nested adapter."""

from __future__ import annotations

import os
import warnings
from typing import Any

from peft import PeftModel
from torch import nn

from aurac.errors import AdapterError
from aurac_adapters.folder import WEIGHTS, read_adapter
from aurac_adapters.nested import NestedAdapter, attach
from aurac_adapters.weights import check_fits, read_weights


def load_adapter(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    adapter_name: str = "default",
    inference: str | None = None,
    is_trainable: bool = False,
) -> NestedAdapter:
    """Load an adapter folder onto its base model, at full rank and in evaluation mode.

    Args:
        model: The base model, without adapters.
        folder: A PEFT LoRA folder, made by this project or not. Without a sidecar it is plain LoRA, whose prefixes keep
            the factor of the full rank.
        adapter_name: Name that PEFT is to give it.
        inference: "prefix" or "trained"; by default what the folder says.
        is_trainable: Whether training goes on from here.

    Returns:
        The handle; its `.model` is the PEFT model.

    Raises:
        AdapterError: If the folder is no usable adapter, or belongs to another base model.
    """
    found = read_adapter(folder)
    tensors = read_weights(found.path / WEIGHTS, found.method.max_rank)
    check_fits(tensors, model, found.path / WEIGHTS)
    loaded = _load(model, found.path, adapter_name, is_trainable)
    return attach(
        loaded,
        found.method,
        adapter_name=adapter_name,
        inference=inference or found.inference,
        strict=found.has_sidecar,
    )


def _load(model: nn.Module, path: Any, adapter_name: str, is_trainable: bool) -> PeftModel:
    try:
        with warnings.catch_warnings():
            # PEFT warns of tensors that the folder lacks and goes on with random ones.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            return PeftModel.from_pretrained(model, path, adapter_name=adapter_name, is_trainable=is_trainable)
    except (ValueError, RuntimeError, UserWarning, TypeError, KeyError) as exc:
        reason = " ".join(str(exc).split())
        raise AdapterError(f"PEFT cannot load {path} onto this base model: {reason:.300}") from exc
