"""What was measured and on what: the base model's identity, library versions, hardware."""

from __future__ import annotations

import hashlib
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers.utils.hub import cached_file

from aurac.harness.model import model_error

_LIBRARIES = ("aurac", "torch", "transformers", "peft", "lm_eval", "datasets", "numpy")
_CONTENT = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def base_identity(name_or_path: str) -> dict[str, Any]:
    """Return what tells one base model from another, without loading it.

    Returns:
        {"name_or_path", "sha256"} for a folder: over names and content of its weights, config and tokenizer, read in
        pieces; {"name_or_path", "revision"} for a model of the hub: its commit.

    Raises:
        ModelError: If there is no such model here, and it cannot be fetched.
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        return {"name_or_path": name_or_path, "sha256": folder_sha256(folder)}
    try:
        file = Path(cached_file(name_or_path, "config.json"))
    except Exception as exc:  # the hub fails in many ways
        raise model_error(name_or_path, exc) from exc
    revision = next((part for part in file.parts if _COMMIT.fullmatch(part)), None)
    return {"name_or_path": name_or_path, "revision": revision}


def folder_sha256(folder: Path) -> str:
    """Return one hash over the files that make a model or an adapter: weights, configs, tokenizer.

    Files are taken in the order of their names; what is in subfolders, and README files, does not count.
    """
    digest = hashlib.sha256()
    for file in sorted({file for pattern in _CONTENT for file in folder.glob(pattern)}):
        with file.open("rb") as stream:
            digest.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers can depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def hardware(device: str | torch.device | None) -> dict[str, Any]:
    """Return the kind of machine, without names that would tell whose it is; None for a model that is elsewhere."""
    if device is None:
        return {"device": "elsewhere"}
    device = torch.device(device)
    if device.type == "cuda":
        return {"device": "cuda", "name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return {"device": device.type, "name": _cpu_name(), "threads": torch.get_num_threads()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
