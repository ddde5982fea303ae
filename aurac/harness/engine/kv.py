"""A key-value cache that knows its final size, so that appending writes in place instead of copying everything.

`DynamicCache` concatenates: each appended token copies the keys and values of all earlier ones, for every row and
layer. Here the buffers are allocated once, and a shared header is written once per row.
"""

from __future__ import annotations

from functools import partial

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers of `room` positions; `keys` and `values` are views of the used part."""

    keys: torch.Tensor | None
    values: torch.Tensor | None
    is_initialized: bool

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append states of shape (batch, heads, new, head_dim); return all of them."""
        used = self.get_seq_length()
        if not self.is_initialized:
            self.device, self.dtype, self.is_initialized = key_states.device, key_states.dtype, True
            self._key_buffer = key_states.new_empty((*key_states.shape[:2], self.room, key_states.shape[3]))
            self._value_buffer = value_states.new_empty((*value_states.shape[:2], self.room, value_states.shape[3]))
        now = used + key_states.shape[2]
        self._key_buffer[:, :, used:now] = key_states
        self._value_buffer[:, :, used:now] = value_states
        self.keys, self.values = self._key_buffer[:, :, :now], self._value_buffer[:, :, :now]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Return the number of positions in use."""
        return 0 if self.keys is None else int(self.keys.shape[2])


def new_cache(room: int, *, header: Cache | None = None, rows: int = 1) -> Cache:
    """Return a cache with room for `room` positions, starting with a header of one row repeated over `rows` rows."""
    if header is None:
        return Cache(layer_class_to_replicate=partial(RoomyLayer, room))
    layers = [RoomyLayer(room) for _ in header.layers]
    for layer, shared in zip(layers, header.layers, strict=True):
        layer.update(shared.keys.expand(rows, -1, -1, -1), shared.values.expand(rows, -1, -1, -1))
    return Cache(layers=layers)
