"""Sequences in lexicographic order and what neighbours share: a trie without nodes.

In sorted order every subtree of the trie is a contiguous range, and the prefix shared by a range is the smallest of the
neighbours' common prefixes in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aurac.harness.engine.queries import Tokens


@dataclass(frozen=True)
class Prefixes:
    """Different token sequences, sorted.

    Attributes:
        sequences: The different sequences in lexicographic order.
        shared: `shared[i]` tokens of sequence i are those of sequence i - 1; `shared[0]` is 0.
        fresh: The other tokens of each sequence.
        index: For each sequence as given, its place in `sequences`.
    """

    sequences: tuple[Tokens, ...]
    shared: NDArray[np.int64]
    fresh: NDArray[np.int64]
    index: tuple[int, ...]

    @property
    def distinct_tokens(self) -> int:
        """The number of different prefixes, the empty one not counted: the nodes of the trie."""
        return int(self.fresh.sum())

    def depth(self, start: int, stop: int) -> int:
        """Tokens that all sequences of the range have in common."""
        return len(self.sequences[start]) if stop == start + 1 else int(self.shared[start + 1 : stop].min())

    def below(self, start: int, stop: int, depth: int) -> int:
        """Different prefixes longer than `depth` in a range that shares `depth` tokens."""
        return len(self.sequences[start]) - depth + int(self.fresh[start + 1 : stop].sum())

    def children(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The ranges into which a range of several sequences falls after the tokens they all share."""
        cuts = start + 1 + np.flatnonzero(self.shared[start + 1 : stop] == self.depth(start, stop))
        edges = [start, *cuts.tolist(), stop]
        return list(pairwise(edges))


def sort_prefixes(sequences: Sequence[Tokens]) -> Prefixes:
    """Sort sequences, drop repeated ones, and measure what neighbours share.

    Example:
        >>> prefixes = sort_prefixes([np.array(s, dtype=np.int32) for s in ([1, 2, 4], [1, 2, 3], [1, 2], [1, 2, 4])])
        >>> [s.tolist() for s in prefixes.sequences], prefixes.shared.tolist(), prefixes.index
        ([[1, 2], [1, 2, 3], [1, 2, 4]], [0, 2, 2], (2, 1, 0, 2))
        >>> prefixes.distinct_tokens   # 1, 12, 123, 124
        4
    """
    # Big-endian bytes compare as the token ids do, and much faster than tuples.
    keys = [sequence.astype(">u4").tobytes() for sequence in sequences]
    place = {key: i for i, key in enumerate(sorted(set(keys)))}
    rows = tuple(np.frombuffer(key, dtype=">u4").astype(np.int32) for key in place)
    neighbours = [_common(a, b) for a, b in pairwise(rows)]
    shared = np.array([0, *neighbours][: len(rows)], dtype=np.int64)
    fresh = np.array([len(row) for row in rows], dtype=np.int64) - shared
    return Prefixes(rows, shared, fresh, tuple(place[key] for key in keys))


def _common(a: Tokens, b: Tokens) -> int:
    size = min(len(a), len(b))
    different = a[:size] != b[:size]
    return int(different.argmax()) if different.any() else size
