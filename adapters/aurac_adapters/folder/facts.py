"""What an adapter folder is, read from its configuration, its sidecar and its weights, without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from aurac.errors import AdapterError
from aurac_adapters.folder.concatenation import concatenation, layers_to_look_at
from aurac_adapters.folder.key_names import clean_keys, clean_names
from aurac_adapters.folder.notes import config_notes
from aurac_adapters.folder.raw_tensors import read_floats
from aurac_adapters.folder.shapes import check_shapes
from aurac_adapters.folder.sidecar import SIDECAR, WEIGHTS, file_sha256, read_config, read_json, read_sidecar
from aurac_adapters.layer.config import foreign_method
from aurac_adapters.layer.keys import lora_layers_of
from aurac_adapters.layer.targets import check_targets
from aurac_adapters.methods.method import NestedMethod


@dataclass(frozen=True)
class AdapterFacts:
    """What a folder says about itself; of the numbers in its weights only some are looked at, for one of the notes.

    Attributes:
        path: The folder.
        method: Method with ranks and scaling; plain LoRA for a folder without a sidecar.
        inference: Inference rule that the folder asks for.
        has_sidecar: Whether the folder was made by this project.
        config: PEFT's configuration as read.
        layers: Names of the adapted layers in the base model.
        parameters: Number of entries of all factors A and B.
        dtypes: Types that the factors are stored in, in safetensors' words ("F32").
        weights_bytes: Size of the weights file.
        sha256: Of the weights file.
        versions: Of the libraries that wrote the sidecar.
        notes: What a user should know about the folder before believing a number of it, one sentence each.
    """

    path: Path
    method: NestedMethod
    inference: str
    has_sidecar: bool
    config: Mapping[str, Any]
    layers: tuple[str, ...]
    parameters: int
    dtypes: tuple[str, ...]
    weights_bytes: int
    sha256: str
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def training_diagonal(self) -> tuple[float, ...] | None:
        """The mean of p over the steps of the training, R numbers; None for a method that is not trained."""
        return tuple(self.method.mean_diagonal().tolist()) if self.method.trainable else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {
            "path": str(self.path),
            **self.method.to_dict(),
            "training_diagonal": self.training_diagonal,
            "inference": self.inference,
            "sidecar": self.has_sidecar,
            "base_model": self.config.get("base_model_name_or_path") or None,
            "revision": self.config.get("revision"),
            "target_modules": self.config.get("target_modules"),
            "lora_alpha": self.config["lora_alpha"],
            "layers": list(self.layers),
            "parameters": self.parameters,
            "dtypes": list(self.dtypes),
            "weights_bytes": self.weights_bytes,
            "sha256": self.sha256,
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }


def read_facts(folder: str | os.PathLike[str]) -> AdapterFacts:
    """Read what an adapter folder is; for folders of gigabytes only the hash takes time.

    Raises:
        AdapterError: If it is no LoRA folder with sub-ranks, its configuration, its sidecar or the header of its
            weights is damaged, or they contradict each other.
    """
    path = Path(folder)
    read = read_config(path)
    config = clean_names(read)
    header = _header(path / WEIGHTS)
    shapes = header.factors
    check_targets(config, lora_layers_of(shapes), path / WEIGHTS)
    if not config.get("rank_pattern"):  # PEFT alone knows which entry is whose, and it takes torch along
        for layer in lora_layers_of(shapes):
            check_shapes(path / WEIGHTS, layer, shapes[layer.a][0], shapes[layer.b][0], config["r"])
    digest = file_sha256(path / WEIGHTS)
    has_sidecar = (path / SIDECAR).exists()
    if has_sidecar:
        method, inference, _ = read_sidecar(path, config, digest)
    else:
        largest = max(shapes[layer.a][0][0] for layer in lora_layers_of(shapes))
        method, inference = foreign_method(config, max_rank=largest), "prefix"
    looks = None if has_sidecar else _concatenation(path / WEIGHTS, header)
    return AdapterFacts(
        path=path,
        method=method,
        inference=inference,
        has_sidecar=has_sidecar,
        config=config,
        layers=tuple(layer.inner for layer in lora_layers_of(shapes)),
        parameters=sum(prod(shape) for shape, _ in shapes.values()),
        dtypes=tuple(sorted({dtype for _, dtype in shapes.values()})),
        weights_bytes=(path / WEIGHTS).stat().st_size,
        sha256=digest,
        versions=read_json(path / SIDECAR).get("versions", {}) if has_sidecar else {},
        notes=tuple(said for said in (header.note, *config_notes(read), looks) if said),
    )


def _concatenation(path: Path, header: _Header) -> str | None:
    layers = layers_to_look_at(lora_layers_of(header.factors))
    in_file = {key: header.in_file[key] for layer in layers for key in (layer.a, layer.b)}
    read = read_floats(path, in_file.values())
    if len(read) < len(in_file):  # of a type that is refused where the numbers are used
        return None
    return concatenation([(read[in_file[layer.a]], read[in_file[layer.b]]) for layer in layers])


@dataclass(frozen=True)
class _Header:
    """Shape and type of every factor, A (r, in) and B (out, r), by key as PEFT writes it."""

    factors: Mapping[str, tuple[list[int], str]]
    in_file: Mapping[str, str]
    note: str | None


def _header(path: Path) -> _Header:
    try:
        with safe_open(str(path), framework="numpy") as file:
            raw = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as exc:
        raise AdapterError(
            f"{path} is damaged or no safetensors file: {exc}. Fetch or save the adapter again."
        ) from exc
    keys = clean_keys(raw, path)
    slices = {keys.names[key]: piece for key, piece in raw.items()}
    factors = [key for layer in lora_layers_of(slices) for key in (layer.a, layer.b)]
    if missing := [key for key in factors if key not in slices]:
        raise AdapterError(f"{path} has no tensor {missing[0]}; the adapter is incomplete. Fetch or save it again.")
    if not factors:
        raise AdapterError(f"{path} holds no lora_A and lora_B tensors. Give a LoRA adapter of linear layers.")
    found = {key: (slices[key].get_shape(), str(slices[key].get_dtype())) for key in factors}
    if flat := [key for key, (shape, _) in found.items() if len(shape) != 2]:
        raise AdapterError(f"{path}: {flat[0]} has shape {found[flat[0]][0]}; (r, in) or (out, r) is needed.")
    return _Header(found, {name: key for key, name in keys.names.items()}, keys.note)
