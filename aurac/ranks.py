"""Which ranks an adapter is trained and scored at where nobody says."""

from __future__ import annotations


def default_ranks(max_rank: int) -> tuple[int, ...]:
    """Return the powers of two up to the maximal rank, and the maximal rank.

    Example:
        >>> default_ranks(8), default_ranks(12)
        ((1, 2, 4, 8), (1, 2, 4, 8, 12))
    """
    return tuple(sorted({*(2**k for k in range(max_rank.bit_length())), max_rank}))
