"""A key-value cache with one length per row, so that a finished row makes room for the next prompt at once.

The rows in use are always the first ones: the last of them moves into the place of one that is finished. So every
call reads a view of the buffers, and nothing is copied but the row that moves. Columns are positions: a token at
position p of a row writes column p, and sees the columns up to p.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class Slots:
    """Rows of keys and values for one model.

    Args:
        rows: How many there are.
        columns: Positions in each.
        header: Keys and values of one row that every row begins with, or None.
    """

    def __init__(self, rows: int, columns: int, *, header: Cache | None = None) -> None:
        self.rows, self.columns = rows, columns
        self._chosen: torch.Tensor | slice = slice(0)
        self._starts, self._uniform = torch.zeros(0, dtype=torch.long), 0
        self.cache = Cache(layer_class_to_replicate=partial(_SlotLayer, self))
        if header is not None:
            layers = [_SlotLayer(self) for _ in header.layers]
            for layer, shared in zip(layers, header.layers, strict=True):
                layer.begin_with(shared.keys, shared.values)
            self.cache = Cache(layers=layers)

    def filling(self, rows: slice, start: int) -> Cache:
        """Return the cache for a call whose tokens go into some rows, all from column `start` on."""
        self._chosen, self._uniform, self._starts = rows, start, torch.zeros(0, dtype=torch.long)
        return self.cache

    def appending(self, starts: torch.Tensor) -> Cache:
        """Return the cache for a call with one token for each of the first rows, which goes into column `starts`."""
        self._chosen, self._uniform, self._starts = slice(0, len(starts)), int(starts.max()), starts
        return self.cache

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` columns of one row over another."""
        for layer in self.cache.layers:
            for buffer in (layer.key_buffer, layer.value_buffer):
                buffer[target, :, :length] = buffer[source, :, :length]

    def write(self, buffer: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Write states of shape (rows, heads, new, width) where this call's tokens go; return what it may see."""
        rows, stop = buffer[self._chosen], self._uniform + states.shape[2]
        if len(self._starts):
            where = self._starts.to(buffer.device)
            rows[torch.arange(len(where), device=buffer.device), :, where] = states[:, :, 0]
        else:
            rows[:, :, self._uniform : stop] = states
        return rows[:, :, :stop]

    @property
    def filled(self) -> int:
        """Columns before those of this call's tokens."""
        return self._uniform


class _SlotLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values."""

    keys: torch.Tensor | None
    values: torch.Tensor | None
    is_initialized: bool

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = slots

    def begin_with(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write a header of shape (1, heads, length, width) into the first columns of every row."""
        self._allocate(keys, values)
        self.key_buffer[:, :, : keys.shape[2]] = keys
        self.value_buffer[:, :, : values.shape[2]] = values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the states of this call's tokens; return the columns up to them."""
        if not self.is_initialized:
            self._allocate(key_states, value_states)
        self.keys = self.slots.write(self.key_buffer, key_states)
        self.values = self.slots.write(self.value_buffer, value_states)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Return the number of columns before those of this call's tokens."""
        return self.slots.filled

    def _allocate(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.device, self.dtype, self.is_initialized = keys.device, keys.dtype, True
        self.key_buffer = self._empty(keys)
        self.value_buffer = self._empty(values)

    def _empty(self, states: torch.Tensor) -> Any:
        # Zeros: columns that a shorter row has not written are masked, and their values must be numbers all the same.
        return states.new_zeros((self.slots.rows, states.shape[1], self.slots.columns, states.shape[3]))
