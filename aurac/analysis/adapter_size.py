"""How large an adapter is at a rank: the share of its full size, and parameters where its weights are at hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from aurac.results import Run

WEIGHTS = "adapter_model.safetensors"


def full_rank(run: Run) -> int:
    """Return the rank of the adapter, of which a prefix of r ranks holds the share r / R of the parameters.

    For a run over budgets it is the number of its parameters, of which a budget is a share.
    """
    adapter = run.record.get("identity", {}).get("adapter", {})
    recorded = adapter.get("parameters" if adapter.get("unit") == "parameters" else "max_rank")
    return int(recorded) if recorded else max(run.ranks)


@dataclass(frozen=True)
class Size:
    """Of an adapter at a rank: entries of its A and B matrices, and their bytes in the float width of the file.

    `flops` are the operations that the matrices add to a token, a multiplication and an addition for each entry; the A
    of an embedding is looked up and has none.
    """

    parameters: int
    bytes: int

    flops: int = field(default=0, compare=False)


@dataclass(frozen=True)
class _Factor:
    """One matrix: the rank of its layer, its entries for one rank, bytes of an entry, and whether it is looked up."""

    rank: int
    entries: int
    width: int
    looked_up: bool

    def at(self, rank: int) -> int:
        return self.entries * min(rank, self.rank)


def parameters(run: Run) -> int | None:
    """Return the number of parameters of the adapter at full rank, None where `size` is."""
    found = size(run)
    return None if found is None else found.parameters


def size(run: Run) -> Size | None:
    """Return the size of the adapter at full rank.

    Only the shapes are read. None where the weights are not where the record says, or are not those that were scored
    (their sha256 differs).
    """
    file = _weights(run)
    return None if file is None else size_of_file(file)


def sizes_at(run: Run, ranks: Sequence[int]) -> dict[int, Size] | None:
    """Return the size at each rank, layers of a smaller rank whole; None where `size` is."""
    file = _weights(run)
    return None if file is None else _sizes(_factors(file), ranks)


def size_of_file(file: Path) -> Size:
    """Return the size of the A and B matrices, (R, in) and (out, R), in a weights file, whatever else it holds."""
    found = _factors(file)
    whole = max((factor.rank for factor in found), default=0)
    return _sizes(found, [whole])[whole]


def _sizes(found: Sequence[_Factor], ranks: Sequence[int]) -> dict[int, Size]:
    return {
        rank: Size(
            sum(factor.at(rank) for factor in found),
            sum(factor.at(rank) * factor.width for factor in found),
            flops=sum(2 * factor.at(rank) for factor in found if not factor.looked_up),
        )
        for rank in ranks
    }


def _factors(file: Path) -> list[_Factor]:
    from safetensors import safe_open

    with safe_open(str(file), framework="numpy") as tensors:
        found = {key: tensors.get_slice(key) for key in tensors.keys() if "lora_" in key}  # noqa: SIM118
        return [_factor(key, tensor.get_shape(), _width(tensor.get_dtype())) for key, tensor in found.items()]


def _factor(key: str, shape: Sequence[int], width: int) -> _Factor:
    """Return a matrix as its key says: A has its rank first, B second; anything else counts once, at every rank."""
    is_a, is_b = "lora_A" in key or "lora_embedding_A" in key, "lora_B" in key or "lora_embedding_B" in key
    rank = shape[0] if is_a else shape[1] if is_b and len(shape) > 1 else 1
    return _Factor(rank, prod(shape) // max(rank, 1), width, "lora_embedding_A" in key)


def _weights(run: Run) -> Path | None:
    """Return the file with the weights that were scored, None where it is not found."""
    wanted = run.record.get("identity", {}).get("adapter", {}).get("sha256")
    return next((file for file in _candidates(run) if file.is_file() and _sha256(file) == wanted), None)


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
