"""How large an adapter is at a rank: the share of its full size, and parameters where its weights are at hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aurac.results import Run

WEIGHTS = "adapter_model.safetensors"


def full_rank(run: Run) -> int:
    """Return the rank of the adapter, of which a prefix of r ranks holds the share r / R of the parameters."""
    recorded = run.record.get("identity", {}).get("adapter", {}).get("max_rank")
    return int(recorded) if recorded else max(run.ranks)


@dataclass(frozen=True)
class Size:
    """Of an adapter at full rank: entries of its A and B matrices, and their bytes in the float width of the file."""

    parameters: int
    bytes: int


def parameters(run: Run) -> int | None:
    """Return the number of parameters of the adapter at full rank, None where `size` is."""
    found = size(run)
    return None if found is None else found.parameters


def size(run: Run) -> Size | None:
    """Return the size of the adapter at full rank.

    Only the shapes are read. None where the weights are not where the record says, or are not those that were scored
    (their sha256 differs).
    """
    wanted = run.record.get("identity", {}).get("adapter", {}).get("sha256")
    for file in _candidates(run):
        if file.is_file() and _sha256(file) == wanted:
            return size_of_file(file)
    return None


def size_of_file(file: Path) -> Size:
    """Return the size of the A and B matrices, (R, in) and (out, R), in a weights file, whatever else it holds."""
    from math import prod

    from safetensors import safe_open

    with safe_open(str(file), framework="numpy") as tensors:
        found = [tensors.get_slice(key) for key in tensors.keys() if "lora_" in key]  # noqa: SIM118
        counts = [(prod(tensor.get_shape()), _width(tensor.get_dtype())) for tensor in found]
    return Size(sum(count for count, _ in counts), sum(count * width for count, width in counts))


def _candidates(run: Run) -> Iterator[Path]:
    recorded = run.record.get("identity", {}).get("adapter", {}).get("path")
    if recorded:
        yield Path(recorded) / WEIGHTS
    if run.path is not None:
        yield run.path.parent / WEIGHTS


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _width(dtype: str) -> int:
    """Return the bytes of one number of a type as safetensors writes it: F32, BF16, F8_E4M3."""
    digits = re.search(r"\d+", dtype)
    assert digits is not None
    return int(digits.group()) // 8
