"""Numbers out of a safetensors file by numpy alone, which has no bfloat16 of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_floats(path: Path, keys: Iterable[str]) -> dict[str, Matrix]:
    """Return some tensors as float32; those of another type than floats of 16, 32 or 64 bits are left out.

    Args:
        path: A file whose header `safe_open` has read, so that it is whole.
        keys: As they stand in the file.
    """
    found: dict[str, Matrix] = {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for key in keys:
            entry = header[key]
            if (kind := _KINDS.get(entry["dtype"])) is None:
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            numbers = np.frombuffer(file.read(end - begin), dtype=kind)
            if entry["dtype"] == "BF16":  # the upper half of a float32
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            found[key] = numbers.astype(np.float32).reshape(entry["shape"])
    return found
