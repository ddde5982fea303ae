"""Adapter folders: standard PEFT at full rank, with a sidecar that says which nested method the weights belong to."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aurac.errors import AdapterError, AuracError
from aurac_adapters.lora import Lora
from aurac_adapters.method import INFERENCES, NestedMethod
from aurac_adapters.methods import METHODS
from aurac_adapters.nested import NestedAdapter

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
SIDECAR = "aurac_adapter.json"
SCHEMA_VERSION = 1

# Initialisations that change the base weights: the adapter then belongs to another base than the one it names.
_CHANGES_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")


@dataclass(frozen=True)
class AdapterFolder:
    """What an adapter folder says about itself.

    Attributes:
        path: The folder.
        base_model: Name or path of the base model, as PEFT stored it; None if it did not.
        revision: Revision of the base model, if stored.
        method: Method with ranks and scaling; plain LoRA for a folder without a sidecar.
        inference: Inference rule that the folder asks for.
        sha256: Of the weights file.
        has_sidecar: Whether the folder was made by this project.
        config: PEFT's configuration as read.
    """

    path: Path
    base_model: str | None
    revision: str | None
    method: NestedMethod
    inference: str
    sha256: str
    has_sidecar: bool
    config: dict[str, Any]

    @property
    def scaling_note(self) -> str:
        """One sentence on how sub-ranks are scaled, for reports."""
        rule = f"scaling rule {self.method.scaling}, gain {self.method.gain:g}"
        if self.has_sidecar:
            return f"{self.method.name}, {rule}, inference {self.inference}"
        return f"no sidecar: scored as prefixes of a plain LoRA, with its own factor at every rank ({rule})"


def read_adapter(folder: str | os.PathLike[str]) -> AdapterFolder:
    """Read and check what a folder says about itself; the weights are checked by `aurac_adapters.weights.read_weights`.

    Raises:
        AdapterError: If it is no LoRA folder, or one that cannot be used at a sub-rank; the message says why.
    """
    path = Path(folder)
    if not path.is_dir():
        raise AdapterError(f"no such folder: {path}. Give the folder of a PEFT LoRA adapter.")
    config = _read_config(path)
    if not (path / WEIGHTS).is_file():
        pickled = " (adapter_model.bin is a pickle and is not read)" if (path / "adapter_model.bin").exists() else ""
        raise AdapterError(f"{path} has no {WEIGHTS}{pickled}. Save the adapter with safetensors.")
    digest = file_sha256(path / WEIGHTS)
    if (path / SIDECAR).exists():
        method, inference = _read_sidecar(path, config, digest)
    else:
        method, inference = _foreign_method(config), "prefix"
    return AdapterFolder(
        path=path,
        base_model=config.get("base_model_name_or_path"),
        revision=config.get("revision"),
        method=method,
        inference=inference,
        sha256=digest,
        has_sidecar=(path / SIDECAR).exists(),
        config=config,
    )


def save_adapter(adapter: NestedAdapter, folder: str | os.PathLike[str]) -> Path:
    """Write a nested adapter as a standard PEFT folder with a sidecar; unmodified PEFT loads it at full rank.

    Args:
        adapter: What `attach` or `load_adapter` returned.
        folder: Where to; made if it is not there.

    Returns:
        The folder.
    """
    path = Path(folder)
    peft_config = adapter.model.peft_config[adapter.adapter_name]
    if peft_config.task_type is not None:
        # PEFT and the hub keep this key through re-saving, which would lose the sidecar.
        peft_config.auto_mapping = {**(peft_config.auto_mapping or {}), "aurac": adapter.method.to_dict()}
    adapter.model.save_pretrained(path, selected_adapters=[adapter.adapter_name], safe_serialization=True)
    write_sidecar(adapter, path)
    return path


def write_sidecar(adapter: NestedAdapter, folder: str | os.PathLike[str]) -> None:
    """Write `aurac_adapter.json` beside the weights in `folder`, in one piece; a folder with a sidecar is complete."""
    write_sidecar_of(adapter.method, adapter.inference, Path(folder))


def write_sidecar_of(method: NestedMethod, inference: str, folder: Path) -> None:
    """Write the sidecar of a folder whose weights are there."""
    content = {
        "schema_version": SCHEMA_VERSION,
        **method.to_dict(),
        "inference": inference,
        "sha256": file_sha256(folder / WEIGHTS),
        "versions": {name: version(name) for name in ("aurac", "peft", "torch")},
    }
    unfinished = folder / f"{SIDECAR}.tmp"
    unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / SIDECAR)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hex digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or raise `AdapterError` naming the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise AdapterError(f"{path} is damaged: {exc}. Fetch or save the adapter again.") from exc
    if not isinstance(content, dict):
        raise AdapterError(f"{path} holds no JSON object. Fetch or save the adapter again.")
    return content


def _read_config(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise AdapterError(f"{path} is no PEFT adapter: it has no {CONFIG}. Give the folder of a PEFT LoRA adapter.")
    config = read_json(path / CONFIG)
    where = path / CONFIG
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{where} is of type {config.get('peft_type')!r}; only LORA has sub-ranks.")
    for option in ("use_dora", "lora_bias"):
        if config.get(option):
            raise AdapterError(f"{where} uses {option}, which no rank indexes. Train with {option}=false.")
    for option in ("target_parameters", "layer_replication", "megatron_config", "alora_invocation_tokens"):
        if config.get(option):
            raise AdapterError(f"{where} uses {option}, whose weights are no stack of ranks. Train without it.")
    init = config.get("init_lora_weights")
    if isinstance(init, str) and init.startswith(_CHANGES_BASE):
        raise AdapterError(
            f"{where} was initialised with {init!r}, which changes the base weights; a prefix would not belong to the "
            "base. Convert it to plain LoRA with PEFT first (path_initial_model_for_weight_conversion)."
        )
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    if not all(isinstance(rank, int) and not isinstance(rank, bool) and rank > 0 for rank in ranks):
        raise AdapterError(f"{where} has rank {ranks}; ranks are whole numbers from 1.")
    alpha = config.get("lora_alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < float("inf"):
        raise AdapterError(f"{where} has lora_alpha {alpha!r}; a positive number is needed.")
    return config


def _foreign_method(config: dict[str, Any]) -> Lora:
    """Return the method of a folder without a sidecar: the factor before B A stays what it is at full rank."""
    rank = config["r"]
    scale = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
    return Lora(
        max_rank=max(rank, *(config.get("rank_pattern") or {"": rank}).values()), scaling="one", gain=scale
    )


def _read_sidecar(path: Path, config: dict[str, Any], digest: str) -> tuple[NestedMethod, str]:
    where = path / SIDECAR
    content = read_json(where)
    schema = content.pop("schema_version", None)
    if schema != SCHEMA_VERSION:
        raise AdapterError(f"{where} has schema version {schema}, this aurac reads version {SCHEMA_VERSION}. "
                           "Use the aurac that wrote it, or a newer one.")  # fmt: skip
    content.pop("versions", None)
    if content.pop("sha256", None) != digest:
        raise AdapterError(f"{where} belongs to other weights than {WEIGHTS} beside it (sha256 differs). The weights "
                           "were changed after training; remove the sidecar to score them as plain LoRA.")  # fmt: skip
    inference = content.pop("inference", None)
    if inference not in INFERENCES:
        raise AdapterError(f"{where} has inference {inference!r}; known: {', '.join(INFERENCES)}.")
    try:
        method: NestedMethod = METHODS[str(content.pop("method", None))].from_dict(content)
    except (AuracError, TypeError, ValueError) as exc:
        raise AdapterError(f"{where}: {exc}") from exc
    if method.max_rank != config["r"]:
        raise AdapterError(f"{where} says max_rank {method.max_rank}, {CONFIG} says r = {config['r']}. Save it again.")
    return method, inference
