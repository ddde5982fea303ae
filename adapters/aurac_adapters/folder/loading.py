"""`load_adapter`: a base model and an adapter folder become a nested adapter."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from aurac.errors import AdapterError
from aurac_adapters.folder.folder import AdapterFolder, read_folder
from aurac_adapters.folder.sidecar import CONFIG, WEIGHTS
from aurac_adapters.folder.weights import check_fits
from aurac_adapters.layer.experts import check_experts
from aurac_adapters.layer.nested import NestedAdapter, attach


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
        model: The base model, or a PEFT model that is to hold one adapter more; the new one becomes the active one.
        folder: A PEFT LoRA folder, made by this project or not. Without a sidecar it is plain LoRA, whose prefixes keep
            the factor of the full rank.
        adapter_name: Name that PEFT is to give it.
        inference: A rule in `INFERENCES`, perhaps with a gain; by default what the folder says.
        is_trainable: Whether training goes on from here.

    Returns:
        The handle; its `.model` is the PEFT model.

    Raises:
        AdapterError: If the folder is no usable adapter, or belongs to another base model.
    """
    return load_read(model, *read_folder(folder), adapter_name, inference=inference, is_trainable=is_trainable)


def load_read(
    model: nn.Module,
    found: AdapterFolder,
    tensors: dict[str, torch.Tensor],
    adapter_name: str = "default",
    *,
    inference: str | None = None,
    is_trainable: bool = False,
) -> NestedAdapter:
    """Do what `load_adapter` does with what `read_folder` returned."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    check_experts(found.config, base, found.path)
    check_fits(tensors, base, found.path / WEIGHTS)
    with _for_peft(found, tensors) as path:
        loaded = _load(model, path, adapter_name, is_trainable, found.path)
    check_complete(loaded, tensors, found.path / WEIGHTS, adapter_name)
    nested = attach(
        loaded,
        found.method,
        adapter_name=adapter_name,
        inference=inference or found.inference,
        strict=found.has_sidecar,
    )
    nested.training = found.training
    return nested


@contextmanager
def _for_peft(found: AdapterFolder, tensors: dict[str, torch.Tensor]) -> Iterator[Path]:
    """Yield a folder in which PEFT finds everything: the adapter's own, or a copy with keys as PEFT writes them."""
    if found.as_peft_writes:
        yield found.path
        return
    with TemporaryDirectory() as copy:
        save_file(tensors, Path(copy) / WEIGHTS, metadata={"format": "pt"})
        (Path(copy) / CONFIG).write_text(json.dumps(found.config), encoding="utf-8")
        yield Path(copy)


def _load(model: nn.Module, path: Path, adapter_name: str, is_trainable: bool, named: Path) -> PeftModel:
    # Not low_cpu_mem_usage: peft 0.21 then rounds the weights to the type of the base, bfloat16 for instance.
    # `torch_device` is where the file is read to; the weights end up beside the base layers.
    options = {"is_trainable": is_trainable, "torch_device": "cpu"}
    try:
        # PEFT initialises weights before it loads them; that must not move the global generator.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # reported below
            warnings.filterwarnings("ignore", message="Unexpected keyword arguments")  # said when the folder was read
            if not isinstance(model, PeftModel):
                return PeftModel.from_pretrained(model, path, adapter_name=adapter_name, **options)
            if adapter_name in model.peft_config:
                raise AdapterError(f"the model has an adapter {adapter_name!r} already. Give another adapter_name.")
            model.load_adapter(str(path), adapter_name, **options)
            model.set_adapter(adapter_name, inference_mode=not is_trainable)
            return model.eval()
    except Exception as exc:  # a stranger's configuration fails in many ways
        if isinstance(exc, (AdapterError, MemoryError, torch.OutOfMemoryError)):
            raise
        reason = " ".join(str(exc).split())
        raise AdapterError(f"PEFT cannot load {named} onto this base model: {reason:.300}") from exc


def check_complete(model: PeftModel, tensors: Mapping[str, torch.Tensor], path: Path, adapter_name: str) -> None:
    """Raise `AdapterError` for tensors that PEFT would have made up or left out without a word."""
    wanted = get_peft_model_state_dict(model, adapter_name=adapter_name, save_embedding_layers=False).keys()
    if missing := [key for key in wanted if key not in tensors]:
        raise AdapterError(
            f"{path} lacks {len(missing)} tensors that its configuration asks for, the first {missing[0]}. It is "
            "incomplete or belongs to another base model; fetch or save it again."
        )
    # PEFT saves whole embedding layers beside the adapter if they were resized, and factors that are tied to others.
    held = model.state_dict()
    known = {*wanted, *held, *(key.replace(f".{adapter_name}.", ".") for key in held)}
    if left_out := [key for key in tensors if key not in known]:
        raise AdapterError(
            f"{path} holds {len(left_out)} tensors that its configuration does not ask for, the first {left_out[0]}. "
            "They would have no effect; check target_modules and the base model."
        )
