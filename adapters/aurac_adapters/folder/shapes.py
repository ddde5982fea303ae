"""Whether the shapes of a layer's factors are those of its rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aurac.errors import AdapterError
from aurac_adapters.layer.keys import Layer


def check_shapes(path: Path, layer: Layer, a: Sequence[int], b: Sequence[int], rank: int) -> None:
    """Raise `AdapterError` unless A is (rank, in) and B is (out, rank).

    Args:
        path: The file, for the message.
        layer: Whose factors they are.
        a: Shape of A.
        b: Shape of B.
        rank: What the configuration says of this layer.
    """
    if len(a) != 2 or len(b) != 2 or a[0] != rank or b[1] != rank:
        raise AdapterError(
            f"{path}: {layer.name} has lora_A {tuple(a)} and lora_B {tuple(b)}, but the configuration says r = {rank}: "
            "(r, in) and (out, r). Fetch or save the adapter again."
        )
