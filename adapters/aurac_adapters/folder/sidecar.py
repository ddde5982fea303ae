"""`aurac_adapter.json`: which nested method the weights beside it belong to. PEFT and servers ignore the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from math import isclose
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from aurac.errors import AdapterError, AuracError, UnknownNameError
from aurac.writing import write_text
from aurac_adapters.layer.config import check_config, layer_scaling
from aurac_adapters.methods import METHODS
from aurac_adapters.methods.inference import INFERENCES, split_gain
from aurac_adapters.methods.method import NestedMethod

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
SIDECAR = "aurac_adapter.json"
PARAMETERS = "aurac_method.safetensors"
"""What the method itself has learned, beside the factors."""
START = "start"
"""Key, in what a sidecar says of the training, of the sha256 of the adapter that it began with."""
GRADUAL = "gradual"
"""Key, in what is said of squeezed adapters, of whether one began with another of them: yes is 1."""
TOKENS = "training_tokens"
"""Key of an adapter that was made from a trained one: what was read to train that."""
SCHEMA_VERSION = 1


Training = Mapping[str, str | float]
"""How an adapter was trained where that is not the default, such as {"init": "authors"}."""


def write_sidecar_of(
    method: NestedMethod,
    inference: str,
    folder: Path,
    *,
    training: Training | None = None,
    training_tokens: int | None = None,
) -> None:
    """Write the sidecar of a folder whose weights are there, in one piece."""
    if method.parameters:
        save_file(method.parameters, folder / PARAMETERS)
    package = METHODS.package(method.name)
    content = {
        "schema_version": SCHEMA_VERSION,
        **method.to_dict(),
        **({"package": package} if package else {}),
        "inference": inference,
        **({"training": dict(training)} if training else {}),
        **({} if training_tokens is None else {TOKENS: training_tokens}),
        "sha256": file_sha256(folder / WEIGHTS),
        **({"parameters_sha256": file_sha256(folder / PARAMETERS)} if method.parameters else {}),
        "versions": {name: version(name) for name in ("aurac", "peft", "torch")},
    }
    write_text(folder / SIDECAR, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_sidecar(folder: Path, config: Mapping[str, Any], digest: str) -> tuple[NestedMethod, str, Training]:
    """Return method, inference rule, and what was not the default in training.

    Args:
        folder: The adapter folder.
        config: PEFT's configuration in it.
        digest: sha256 of the weights in it.

    Raises:
        AdapterError: If the sidecar is damaged, newer than this package, or belongs to other weights or another
            configuration.
    """
    where = folder / SIDECAR
    content = read_json(where)
    schema = content.pop("schema_version", None)
    if schema != SCHEMA_VERSION:
        raise AdapterError(
            f"{where} has schema version {schema}, this aurac reads version {SCHEMA_VERSION}. Use the aurac that wrote "
            "it, or a newer one."
        )
    content.pop("versions", None)
    content.pop(TOKENS, None)
    if content.pop("sha256", None) != digest:
        raise AdapterError(
            f"{where} belongs to other weights than {WEIGHTS} beside it (sha256 differs). The weights were changed "
            "after training; remove the sidecar to score them as plain LoRA."
        )
    training = content.pop("training", {})
    if not isinstance(training, dict) or not all(isinstance(value, (str, float, int)) for value in training.values()):
        raise AdapterError(f"{where} has training {training!s:.100}; it must be an object of texts and numbers.")
    learned = content.pop("parameters_sha256", None)
    inference = content.pop("inference", None)
    try:
        split_gain(str(inference))
    except AuracError as exc:
        raise AdapterError(f"{where} has inference {inference!r}; known: {', '.join(INFERENCES)}.") from exc
    name, package = str(content.pop("method", None)), content.pop("package", None)
    if package is not None and name not in METHODS:
        advice = f"The folder says that it is of the package {package!s:.100}; install it if you trust it."
        raise AdapterError(f"{where}: {UnknownNameError('adapter method', name, METHODS, advice=advice)}")
    try:
        method: NestedMethod = METHODS[name].from_dict(content)
    except (AuracError, TypeError, ValueError, OverflowError) as exc:
        raise AdapterError(f"{where}: {exc}") from exc
    _check_against_config(where, method, config)
    return read_parameters(folder, method, digest=str(learned)), inference, training


def read_parameters(folder: Path, method: NestedMethod, *, digest: str | None = None) -> NestedMethod:
    """Return the method with what it has learned itself, from the file beside the weights; as it is if that is nothing.

    Args:
        folder: The adapter folder.
        method: The method without its values.
        digest: sha256 that the file must have.

    Raises:
        AdapterError: If the file is missing, damaged, of another adapter or of another method.
    """
    if not method.initial_parameters():
        return method
    path = folder / PARAMETERS
    if not path.is_file():
        raise AdapterError(
            f"{folder} lacks {PARAMETERS}, what method {method.name} has learned. Fetch or save it again."
        )
    if digest is not None and file_sha256(path) != digest:
        raise AdapterError(f"{path} is of another adapter than {SIDECAR} beside it (sha256 differs). Fetch it again.")
    try:
        values = load_file(path)
    except Exception as exc:  # a stranger's file fails in many ways
        raise AdapterError(
            f"{path} is damaged or no safetensors file: {exc}. Fetch or save the adapter again."
        ) from exc
    try:
        return method.with_parameters(values)
    except AdapterError as exc:
        raise AdapterError(f"{path}: {exc}") from exc


def check_folder(path: Path) -> None:
    """Raise `AdapterError` where there is no folder; called before slow work starts."""
    if path.is_file():
        raise AdapterError(f"{path} is a file. Give the folder of a PEFT LoRA adapter, with {CONFIG} and {WEIGHTS}.")
    if not path.is_dir():
        raise AdapterError(f"no such folder: {path}. Give the folder of a PEFT LoRA adapter.")


def read_config(path: Path) -> dict[str, Any]:
    """Return PEFT's configuration of a folder that has weights beside it and sub-ranks, or raise `AdapterError`."""
    check_folder(path)
    if not (path / CONFIG).is_file():
        raise AdapterError(f"{path} is no PEFT adapter: it has no {CONFIG}. {_where_else(path)}")
    config = read_json(path / CONFIG)
    check_config(config, path / CONFIG)
    if not (path / WEIGHTS).is_file():
        reason, advice = "", ""
        if (path / "adapter_model.bin").exists():
            reason = " (adapter_model.bin is a pickle and is not read)"
            advice = ", or make a new folder of the pickle with aurac convert, which reads tensors only"
        raise AdapterError(f"{path} has no {WEIGHTS}{reason}. Save the adapter with safetensors{advice}.")
    return config


def _where_else(path: Path) -> str:
    """Return what to give instead of a folder that is no adapter: one of its checkpoints, or of the adapters in it."""
    inside = sorted((child.parent for child in path.glob(f"*/{CONFIG}")), key=_step)
    if not inside:
        return "Give the folder of a PEFT LoRA adapter."
    shown = ", ".join(child.name for child in inside[-5:])
    more = f" (and {len(inside) - 5} before them)" if len(inside) > 5 else ""
    return f"These folders in it are adapters: {shown}{more}. Give one of them, for example {inside[-1]}."


def _step(folder: Path) -> tuple[int, str]:
    """Sort checkpoint-500 before checkpoint-1000, as a Trainer numbers them."""
    number = folder.name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else -1, folder.name)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hex digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or raise `AdapterError` naming the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as exc:
        raise AdapterError(f"{path} is damaged: {exc}. Fetch or save the adapter again.") from exc
    if not isinstance(content, dict):
        raise AdapterError(f"{path} holds no JSON object. Fetch or save the adapter again.")
    return content


def _check_against_config(where: Path, method: NestedMethod, config: Mapping[str, Any]) -> None:
    if method.max_rank != config["r"]:
        raise AdapterError(f"{where} says max_rank {method.max_rank}, {CONFIG} says r = {config['r']}. Save it again.")
    expected, found = method.scale(method.max_rank), layer_scaling({**config, "alpha_pattern": {}}, "")
    if not isclose(found, expected, rel_tol=1e-6):
        raise AdapterError(
            f"{where} says a factor of {expected:g} at full rank, {CONFIG} one of {found:g} (lora_alpha, r). Save it "
            "again."
        )
