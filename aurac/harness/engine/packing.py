"""Rows of a batch: several short documents side by side in one row, so that little is padded and calls are few.

Documents in one row do not see each other (`Row.visible`), so a row costs what its tokens cost, and a little more
attention. A long document is a row of its own in two parts: its trunk as a plain causal row, for which attention
skips half of the work, and what branches off behind it in a second call.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aurac.harness.engine.document import Document

WIDTH = 256  # tokens of a row: up to here attention costs next to nothing beside the linear layers
WHOLE = 512  # documents up to this size are forwarded in one call


@dataclass(frozen=True)
class Row:
    """Documents side by side in one row of a batch.

    Attributes:
        documents: At least one.
    """

    documents: tuple[Document, ...]

    @property
    def size(self) -> int:
        """Tokens of the row, header not counted."""
        return sum(document.size for document in self.documents)

    @property
    def parts(self) -> tuple[int, ...]:
        """Tokens of each call that the row takes part in: one, or the trunk's and that of the branches."""
        if self.in_two_calls:
            return (len(self.documents[0].trunk), len(self.documents[0].branches))
        return (self.size,)

    @property
    def in_two_calls(self) -> bool:
        """Whether the trunk is forwarded first, and the branches behind it."""
        first = self.documents[0]
        return self.size > WHOLE and len(self.documents) == 1 and len(first.trunk) > 0 and len(first.branches) > 0

    def apart(self) -> list[Row]:
        """Return a row for each of the documents."""
        return [Row((document,)) for document in self.documents]

    @property
    def causal(self) -> bool:
        """Whether the row is a single sequence, which needs no mask."""
        return len(self.documents) == 1 and not len(self.documents[0].branches)

    @property
    def rows_asked(self) -> int:
        """Positions whose next-token distribution is asked for."""
        return sum(len(document.rows) for document in self.documents)

    @property
    def slots(self) -> list[int]:
        """The queries that the row answers."""
        return [slot for document in self.documents for slot in document.slots]

    @property
    def tokens(self) -> NDArray[np.int32]:
        """Trunk and branches of each document, one after the other, shape (size,)."""
        return np.concatenate([part for d in self.documents for part in (d.trunk, d.branches)])

    def positions(self, depth: int) -> NDArray[np.int64]:
        """Position of each token in its own sequence, shape (size,), behind a header of `depth` tokens."""
        return np.concatenate(
            [part for d in self.documents for part in (np.arange(depth, depth + len(d.trunk)), d.positions)]
        )

    def visible(self) -> NDArray[np.bool_]:
        """Which token (row) sees which (column), shape (size, size)."""
        seen = np.zeros((self.size, self.size), dtype=np.bool_)
        start = 0
        for document in self.documents:
            trunk, stop = start + len(document.trunk), start + document.size
            seen[start:trunk, start:trunk] = np.tri(trunk - start, dtype=np.bool_)
            seen[trunk:stop, start:trunk] = True
            seen[trunk:stop, trunk:stop] = document.visible()
            start = stop
        return seen


def pack_rows(documents: Sequence[Document], *, width: int = WIDTH) -> list[Row]:
    """Put documents into rows of at most `width` tokens, longest first; one that is larger gets a row of its own.

    Each document goes where it leaves the least room (best fit decreasing).

    Returns:
        The rows, longest first: those in two calls by their trunks in steps of 2 %, then by what branches off.
    """
    rows: list[list[Document]] = []
    room: list[tuple[int, int]] = []  # (tokens left, index of the row), ascending
    for document in sorted(documents, key=lambda d: -d.size):
        place = bisect_left(room, (document.size, -1))
        left, index = room.pop(place) if place < len(room) else (width, len(rows))
        if index == len(rows):
            rows.append([])
        rows[index].append(document)
        if left > document.size:
            insort(room, (left - document.size, index))
    return sorted((Row(tuple(row)) for row in rows), key=_longest_first)


def _longest_first(row: Row) -> tuple[bool, int, int, int]:
    if not row.in_two_calls:
        return (True, -row.size, 0, 0)
    trunk, branches = row.parts
    return (False, -int(np.log(trunk) / 0.02), -branches, -trunk)
