"""Bootstrap means of documents, drawn as multinomial counts of distinct rows.

Documents collapse to few distinct patterns of right and wrong, and resampling documents is drawing how often each
pattern occurs: the same distribution as drawing indices, at the cost of the patterns instead of the documents.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.quadrature import Vector

Matrix = npt.NDArray[np.float64]
_BLOCK_CELLS = 2_000_000
_BINOMIAL_COST = 16
"""Time of one binomial draw, in draws of a document."""


def unique_rows(scores: Matrix) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Return the distinct rows of (n, K) scores, shape (U, K), and how many documents have each, shape (U,)."""
    # Rounding joins values that differ by the order of their summation only.
    rows, counts = np.unique(np.round(scores, 12), axis=0, return_counts=True)
    return rows, counts


def bootstrap_means(
    rows: Matrix, counts: npt.NDArray[np.int64], *, n_resamples: int, rng: np.random.Generator
) -> Matrix:
    """Return means of resampled documents, shape (n_resamples, K), from distinct rows (U, K) and their counts (U,)."""
    return np.concatenate([draws @ rows for draws in shares(counts, n_resamples=n_resamples, rng=rng)])


def shares(counts: npt.NDArray[np.int64], *, n_resamples: int, rng: np.random.Generator) -> Iterator[Matrix]:
    """Yield blocks of resampled shares of each distinct row, shape (block, U), rows summing to 1."""
    check_resamples(n_resamples)
    n = int(counts.sum())
    few = len(counts) * _BINOMIAL_COST < n
    block = max(1, _BLOCK_CELLS // (len(counts) if few else n))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        yield (rng.multinomial(n, counts / n, size=size) if few else _counted(counts, size, rng)) / n


def _counted(counts: npt.NDArray[np.int64], size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw documents one by one and count their rows: the same distribution, faster where rows are many."""
    n, n_rows = int(counts.sum()), len(counts)
    row_of = np.repeat(np.arange(n_rows), counts)
    drawn = row_of[rng.integers(0, n, size=(size, n), dtype=np.int32)] + n_rows * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n_rows).reshape(size, n_rows)


def check_resamples(n_resamples: int) -> int:
    """Return a number of resamples of at least 1, or raise `CurveError`."""
    if n_resamples < 1:
        raise CurveError(f"{n_resamples} resamples are too few. Usual: 9999.")
    return n_resamples


def default_rng(rng: np.random.Generator | None) -> np.random.Generator:
    """Return the generator given, or the one that an unseeded call always uses, so that numbers can be repeated."""
    return np.random.default_rng(DEFAULT_SEED) if rng is None else rng


DEFAULT_SEED = 12345


def acceleration(values: Vector, counts: npt.NDArray[np.int64]) -> float:
    """Return Efron's (1987) acceleration of the mean, sum(u^3) / (6 * sum(u^2)^1.5) with u the residuals.

    Example:
        >>> acceleration(np.array([0.0, 1.0]), np.array([3, 1]))  # u: -1/4 three times, 3/4
        0.096225...
    """
    u = values - (values @ counts) / counts.sum()
    return float((u**3 @ counts) / (6 * (u**2 @ counts) ** 1.5))
