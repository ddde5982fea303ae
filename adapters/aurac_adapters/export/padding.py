"""Zero rows and columns around a slice, for servers that allow few ranks: the function stays the same."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn.functional import pad

from aurac.errors import RankError
from aurac_adapters.layer.keys import Layer


def check_padding(rank: int, pad_to: int) -> None:
    """Raise `RankError` if a slice is larger than what it is to be padded to."""
    if pad_to < rank:
        raise RankError(f"a slice of rank {rank} cannot be padded to {pad_to}. Pad to {rank} or more.")


def pad_layers(tensors: dict[str, torch.Tensor], layers: Iterable[Layer], rank: int) -> None:
    """Fill A, (r, in), with zero rows and B, (out, r), with zero columns up to `rank`, in place."""
    for layer in layers:
        missing = rank - len(tensors[layer.a])
        tensors[layer.a] = pad(tensors[layer.a], (0, 0, 0, missing)).contiguous()
        tensors[layer.b] = pad(tensors[layer.b], (0, missing)).contiguous()
