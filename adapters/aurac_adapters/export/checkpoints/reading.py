"""Reading a checkpoint file without running anything that is in it."""

from __future__ import annotations

import re
from errno import EINVAL
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile, ZipFile

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
            _raise_of_the_disk(exc)
            raise AdapterError(f"{path} is damaged or no safetensors file: {exc}. Fetch or save it again.") from exc
    _check_begin(path)
    _check_size(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # a stranger's file fails in many ways
        if isinstance(exc, MemoryError):
            raise
        _raise_of_the_disk(exc)
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
        if not _is_held(value):
            raise AdapterError(
                f"{path}: {key!r} claims more numbers than the file holds, or holds them in another way. Save plain "
                "tensors (tensor.contiguous())."
            )
    return {key: value.detach() for key, value in content.items()}


def _check_begin(path: Path) -> None:
    """Raise `AdapterError` for a file that does not begin as torch.save's do: an archive, or a pickle of protocol 2."""
    with path.open("rb") as file:
        begin = file.read(4)
    if not begin.startswith((b"PK\x03\x04", b"\x80")):
        raise AdapterError(
            f"{path} is not a checkpoint: torch.save wrote no such file, and its name does not end with .safetensors. "
            "Give a file of tensors."
        )


def _check_size(path: Path) -> None:
    """Raise `AdapterError` for an archive that says it is larger than its file; torch.save compresses nothing."""
    try:
        with ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (BadZipFile, NotImplementedError, ValueError):
        return  # torch's older format, or damage that torch.load names
    if size > path.stat().st_size:
        raise AdapterError(
            f"{path} would be {size} bytes when it is unpacked, more than its own {path.stat().st_size}; torch.save "
            "writes no such file, and it was not read. Save the state dict with torch.save, or as .safetensors."
        )


def _is_held(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is as large in memory as it says, so that no copy of it is larger than the file."""
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return plain and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _raise_of_the_disk(error: Exception) -> None:
    """Raise an error again that is about reading, such as a file that may not be read, and not about what was read."""
    if isinstance(error, OSError) and error.errno not in {None, EINVAL}:  # torch gives EINVAL for an archive cut off
        raise error


def _reason(error: Exception) -> str:
    """Return the first sentence of what torch says is wrong, without its advice on how to run the file all the same."""
    before, mark, after = str(error).partition("WeightsUnpickler error:")
    text = "" if not mark and isinstance(error, UnpicklingError) else (after if mark else before).strip()
    sentence = re.split(r"\.\s|\n", text, maxsplit=1)[0].rstrip(".")
    return f": {sentence:.200}" if sentence else ""
