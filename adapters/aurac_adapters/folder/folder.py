"""Adapter folders: standard PEFT at full rank, with a sidecar that says which nested method the weights belong to."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from aurac.errors import AdapterError
from aurac_adapters.folder.concatenation import concatenation, layers_to_look_at
from aurac_adapters.folder.key_names import clean_names
from aurac_adapters.folder.notes import config_notes
from aurac_adapters.folder.sidecar import (
    CONFIG,
    PARAMETERS,
    SIDECAR,
    WEIGHTS,
    Training,
    file_sha256,
    read_config,
    read_sidecar,
    write_sidecar_of,
)
from aurac_adapters.folder.weights import read_weights
from aurac_adapters.folder.writing import share_weights
from aurac_adapters.layer.config import foreign_method, has_patterns
from aurac_adapters.layer.keys import lora_layers_of
from aurac_adapters.layer.nested import NestedAdapter
from aurac_adapters.methods.method import NestedMethod

_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class HeldTensors:
    """Tensors of a folder, and what the file looked like before they were read: its time of change, and its size."""

    tensors: dict[str, torch.Tensor]
    stamp: tuple[int, int]


def _stamp(folder: Path) -> tuple[int, int]:
    try:
        status = (folder / WEIGHTS).stat()
    except OSError:  # reading it says why
        return 0, 0
    return status.st_mtime_ns, status.st_size


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
        config: PEFT's configuration as read, without wrappers in the names of layers.
        notes: What a user should know about the folder before believing a number of it, one sentence each.
        as_peft_writes: Whether PEFT finds everything in the files as they are; otherwise it is given a cleaned copy.
        training: What was not the default in training, such as {"init": "authors"}.
        held: Its tensors, where who read the folder goes on to load it.
    """

    path: Path
    base_model: str | None
    revision: str | None
    method: NestedMethod
    inference: str
    sha256: str
    has_sidecar: bool
    config: dict[str, Any]
    notes: tuple[str, ...] = ()
    as_peft_writes: bool = True
    training: Training = field(default_factory=dict)
    held: list[HeldTensors] = field(default_factory=list, repr=False, compare=False)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors without letting them go, read again where they are not held."""
        if self.held and self.held[-1].stamp == _stamp(self.path):
            return self.held[-1].tensors
        return read_folder(self.path, announce=False)[1]

    def take_tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors, those that are held where the file is still the one that was read; they are then let go.

        Raises:
            AdapterError: As `read_adapter`, where the file has to be read again; and if its weights are others now.
        """
        if self.held and (held := self.held.pop()).stamp == _stamp(self.path):
            return held.tensors
        found, tensors = read_folder(self.path, announce=False)
        if found.sha256 != self.sha256:
            raise AdapterError(f"{self.path}: the weights were changed while they were in use. Start again.")
        return tensors

    @property
    def own_ranks(self) -> tuple[int, ...] | None:
        """The ranks that it can be, where they are not all from 1 to the maximal one; here they are."""
        return None

    @property
    def scaling_note(self) -> str:
        """One sentence on how sub-ranks are scaled, for reports."""
        rule = f"scaling rule {self.method.scaling}, gain {self.method.gain:g}"
        if self.has_sidecar:
            return f"{self.method.name}, {rule}, inference {self.inference}"
        mapping = self.config.get("auto_mapping")
        mirror = mapping.get("aurac") if isinstance(mapping, dict) else None
        was = f" (PEFT saved it again from a {mirror.get('method')!s:.40} adapter)" if isinstance(mirror, dict) else ""
        return f"no sidecar{was}: scored as prefixes of a plain LoRA, with its own factor at every rank ({rule})"


def read_adapter(folder: str | os.PathLike[str]) -> AdapterFolder:
    """Read what a folder says about itself and check all of it that can be checked without the base model.

    Raises:
        AdapterError: If it is no LoRA folder, one that cannot be used at a sub-rank, or one whose files are damaged,
            incomplete, untrained or contradict each other; the message says which.
    """
    return read_folder(folder)[0]


def read_to_load(folder: str | os.PathLike[str]) -> AdapterFolder:
    """Do what `read_adapter` does, and hold the tensors, so that loading the adapter does not read them again."""
    stamp = _stamp(Path(folder))
    found, tensors = read_folder(folder)
    found.held.append(HeldTensors(tensors, stamp))
    return found


def read_folder(
    folder: str | os.PathLike[str], *, announce: bool = True
) -> tuple[AdapterFolder, dict[str, torch.Tensor]]:
    """Do what `read_adapter` does, and return the tensors too, by key as PEFT writes it.

    Args:
        folder: The adapter folder.
        announce: Whether to warn of the folder's notes; not where the same folder was read a moment ago.
    """
    path = Path(folder)
    read = read_config(path)
    config = clean_names(read)
    weights = read_weights(path / WEIGHTS, config)
    tensors = weights.tensors
    digest = file_sha256(path / WEIGHTS)
    has_sidecar = (path / SIDECAR).exists()
    training: Training = {}
    if has_sidecar:
        method, inference, training = read_sidecar(path, config, digest)
    else:
        largest = max(len(tensors[layer.a]) for layer in lora_layers_of(tensors))
        method, inference = foreign_method(config, max_rank=largest), "prefix"
    notes = [weights.note, *config_notes(read), None if has_sidecar else _concatenation(tensors)]
    found = AdapterFolder(
        path=path,
        base_model=config.get("base_model_name_or_path") or None,  # PEFT writes "" for a model without a name
        revision=config.get("revision"),
        method=method,
        inference=inference,
        sha256=digest,
        has_sidecar=has_sidecar,
        config=config,
        notes=tuple(note for note in notes if note),
        as_peft_writes=weights.note is None and config == read,
        training=training,
    )
    if announce:
        for note in found.notes:
            warnings.warn(f"{path}: {note}", stacklevel=1)  # at this line always, so that Python shows each once
    return found, tensors


def _concatenation(tensors: Mapping[str, torch.Tensor]) -> str | None:
    layers = layers_to_look_at(lora_layers_of(tensors))
    return concatenation([(tensors[each.a].float().numpy(), tensors[each.b].float().numpy()) for each in layers])


def save_adapter(
    adapter: NestedAdapter,
    folder: str | os.PathLike[str],
    *,
    weights: dict[str, torch.Tensor] | None = None,
    learned: NestedMethod | None = None,
) -> Path:
    """Write a nested adapter as a standard PEFT folder with a sidecar; unmodified PEFT loads it at full rank.

    Args:
        adapter: What `attach` or `load_adapter` returned.
        folder: Where to; made if it is not there. An adapter that is there is replaced, other files are kept.
        weights: All weights of the model by name, where it does not hold them in one piece (FSDP).
        learned: The method with its own parameters, likewise.

    Returns:
        The folder. The weights come last, so a folder that was interrupted is incomplete or does not match its
        sidecar, never another adapter.

    Raises:
        AdapterError: If layers have ranks or factors of their own (`rank_pattern`, `alpha_pattern`).
    """
    path, name = Path(folder), adapter.adapter_name
    if pattern := has_patterns(adapter.model.peft_config[name].to_dict()):
        raise AdapterError(f"the adapter has a {pattern}, so it has no one rank. svd_rotate its folder instead.")
    path.mkdir(parents=True, exist_ok=True)
    for left_over in path.glob(f"{_UNFINISHED}*"):  # by a process that was killed while it saved
        shutil.rmtree(left_over, ignore_errors=True)
    with TemporaryDirectory(dir=path, prefix=_UNFINISHED) as unfinished:
        _save_with_peft(adapter, unfinished, weights)
        made = Path(unfinished) if name == "default" else Path(unfinished, name)
        _rewrite_config(made / CONFIG, adapter)
        write_sidecar(adapter, made, learned=learned)
        if not (path / "README.md").exists():
            os.replace(Path(unfinished, "README.md"), path / "README.md")
        for file in (CONFIG, PARAMETERS, SIDECAR, WEIGHTS):
            if (made / file).exists():
                os.replace(made / file, path / file)
    return path


def write_sidecar(
    adapter: NestedAdapter, folder: str | os.PathLike[str], *, learned: NestedMethod | None = None
) -> None:
    """Write `aurac_adapter.json` beside the weights in `folder`, in one piece; a folder with a sidecar is complete."""
    method = learned or adapter.state.learned()
    write_sidecar_of(method, adapter.inference, Path(folder), training=adapter.training)
    share_weights(Path(folder))


def _save_with_peft(adapter: NestedAdapter, folder: str, weights: dict[str, torch.Tensor] | None) -> None:
    with warnings.catch_warnings():
        # PEFT asks the hub whether the vocabulary was resized, and warns when it cannot; it saves the base weights of
        # embedding layers that have an adapter, and says so.
        warnings.filterwarnings("ignore", message="Could not find a config file in|Setting `save_embedding_layers`")
        adapter.model.save_pretrained(
            folder, selected_adapters=[adapter.adapter_name], safe_serialization=True, state_dict=weights
        )


def _rewrite_config(path: Path, adapter: NestedAdapter) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"lora_alpha": adapter.method.lora_alpha, "use_rslora": False}  # the same factor, as all servers read it
    if config["task_type"] is not None:
        # PEFT and the hub keep this key through re-saving, which would lose the sidecar.
        mirror = {**adapter.method.to_dict(), "inference": adapter.inference}
        config["auto_mapping"] = {**(config["auto_mapping"] or {}), "aurac": mirror}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
