"""A document: sequences that share a trunk, their remainders packed behind it, and where each answer is read.

The trunk is an ordinary causal row. The remainders (the choices of a question, the two readings of a Winogrande
sentence) are packed into one row behind it, each prefix once; a mask lets every token see the trunk and its own
ancestors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aurac.harness.engine.prefixes import Prefixes
from aurac.harness.engine.queries import Query, Tokens

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Segment:
    """Packed tokens `start..stop-1` of one sequence; they see each other causally and the packed tokens `ancestors`."""

    start: int
    stop: int
    ancestors: Indices


@dataclass(frozen=True)
class Document:
    """One row of a batch.

    Attributes:
        trunk: Tokens behind the header that all sequences share, shape (t,).
        branches: The remainders, packed, shape (b,).
        positions: Position of each packed token in its own sequence, shape (b,).
        segments: Who sees whom among the packed tokens.
        rows: Ascending indices into trunk followed by branches whose next-token distribution is asked for, shape (r,).
        answer_rows: For each asked (row, target): index into `rows`, shape (a,), ascending.
        answer_targets: The token whose log-probability is read there, shape (a,).
        answer_slots: The query that it belongs to, shape (a,).
    """

    trunk: Tokens
    branches: Tokens
    positions: Indices
    segments: tuple[Segment, ...]
    rows: Indices
    answer_rows: Indices
    answer_targets: Indices
    answer_slots: Indices

    @property
    def slots(self) -> list[int]:
        """The queries that this document answers, each once."""
        return [int(slot) for slot in np.unique(self.answer_slots)]

    @property
    def size(self) -> int:
        """Tokens of the document, header not counted."""
        return len(self.trunk) + len(self.branches)

    def visible(self) -> NDArray[np.bool_]:
        """Which packed token (row) sees which (column), shape (b, b)."""
        seen = np.zeros((len(self.branches), len(self.branches)), dtype=np.bool_)
        for segment in self.segments:
            seen[segment.start : segment.stop, segment.ancestors] = True
            size = segment.stop - segment.start
            seen[segment.start : segment.stop, segment.start : segment.stop] = np.tri(size, dtype=np.bool_)
        return seen


def make_document(
    prefixes: Prefixes, queries: Sequence[Sequence[tuple[int, Query]]], *, span: tuple[int, int], header: int
) -> Document:
    """Build the document of the sequences `span[0]..span[1]-1`, whose first `header` tokens are forwarded elsewhere.

    Args:
        prefixes: The sorted sequences.
        queries: For each sorted sequence, its (slot, query) pairs.
        span: Range of sequences, half open.
        header: Tokens before the trunk; no query may ask for a position before it.
    """
    start, stop = span
    depth = prefixes.depth(start, stop)
    trunk = prefixes.sequences[start][header:depth]
    packed, positions, segments = [], [], []
    asked: list[tuple[int, int, int]] = []
    path, used = np.zeros(0, dtype=np.int64), 0
    for i in range(start, stop):
        sequence = prefixes.sequences[i]
        begin = depth if i == start else int(prefixes.shared[i])
        fresh = sequence[begin:]
        ancestors = path[: begin - depth]
        path = np.concatenate([ancestors, np.arange(used, used + len(fresh))])
        if len(fresh):
            packed.append(fresh)
            positions.append(np.arange(begin, len(sequence)))
            segments.append(Segment(used, used + len(fresh), ancestors))
            used += len(fresh)
        place = np.concatenate([np.arange(depth - header), path + len(trunk)])
        for slot, query in queries[i]:
            where = place[query.first_asked - header :]
            asked += zip(where.tolist(), query.targets.tolist(), [slot] * len(where), strict=True)
    where, targets, slots = np.array(sorted(asked), dtype=np.int64).T
    rows, index = np.unique(where, return_inverse=True)
    empty: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    return Document(
        trunk,
        np.concatenate([*empty, *packed]).astype(np.int32),
        np.concatenate([*empty, *positions]),
        tuple(segments),
        rows,
        index,
        targets,
        slots,
    )
