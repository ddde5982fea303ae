"""Reading a checkpoint file without running anything that is in it."""

from __future__ import annotations

import re
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from aurac.errors import AdapterError


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a .safetensors file, or of a file that `torch.save` wrote.

    A pickle can run any code when it is read. torch's `weights_only` reader builds tensors and containers and refuses
    everything else before it is called.

    Raises:
        AdapterError: If there is no such file, it is damaged, or it holds anything but a dictionary of tensors.
    """
    if path.is_dir():
        raise AdapterError(f"{path} is a folder. Give the checkpoint file in it; a folder of PEFT needs no conversion.")
    if not path.is_file():
        raise AdapterError(f"no such file: {path}. Give a checkpoint file, .safetensors or one that torch.save wrote.")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, ValueError, OSError) as exc:
            raise AdapterError(f"{path} is damaged or no safetensors file: {exc}. Fetch or save it again.") from exc
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # a stranger's file fails in many ways
        if isinstance(exc, MemoryError):
            raise
        raise AdapterError(
            f"{path} is damaged, or holds more than tensors, which is refused and was not run{_reason(exc)}. Save a "
            "dictionary of tensors."
        ) from exc
    if not isinstance(content, dict) or not content:
        raise AdapterError(f"{path} holds {type(content).__name__}, not a dictionary of tensors. Save the state dict.")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise AdapterError(
                f"{path} holds {type(value).__name__} under {key!r}; a dictionary of names and tensors is needed. Save "
                "the state dict alone."
            )
    return {key: value.detach() for key, value in content.items()}


def _reason(error: Exception) -> str:
    """Return the first sentence of what torch says is wrong, without its advice on how to run the file all the same."""
    before, mark, after = str(error).partition("WeightsUnpickler error:")
    text = "" if not mark and isinstance(error, UnpicklingError) else (after if mark else before).strip()
    sentence = re.split(r"\.\s|\n", text, maxsplit=1)[0].rstrip(".")
    return f": {sentence:.200}" if sentence else ""
