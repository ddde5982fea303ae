"""How large an adapter is at a rank: the share of its full size, and parameters where its weights are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from aurac.results import Run

WEIGHTS = "adapter_model.safetensors"


def full_rank(run: Run) -> int:
    """Return the rank of the adapter, of which a prefix of r ranks holds the share r / R of the parameters."""
    recorded = run.record.get("identity", {}).get("adapter", {}).get("max_rank")
    return int(recorded) if recorded else max(run.ranks)


def parameters(run: Run) -> int | None:
    """Return the number of parameters of the adapter at full rank.

    Only the shapes are read. None where the weights are not where the record says, or are not those that were scored
    (their sha256 differs).
    """
    wanted = run.record.get("identity", {}).get("adapter", {}).get("sha256")
    for file in _candidates(run):
        if file.is_file() and _sha256(file) == wanted:
            return _count(file)
    return None


def _candidates(run: Run) -> Iterator[Path]:
    recorded = run.record.get("identity", {}).get("adapter", {}).get("path")
    if recorded:
        yield Path(recorded) / WEIGHTS
    if run.path is not None:
        yield run.path.parent / WEIGHTS


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _count(file: Path) -> int:
    """Return the number of entries of A and B matrices, (R, in) and (out, R), whatever else the file holds."""
    from math import prod

    from safetensors import safe_open

    with safe_open(str(file), framework="numpy") as tensors:
        return sum(prod(tensors.get_slice(key).get_shape()) for key in tensors.keys() if "lora_" in key)  # noqa: SIM118
