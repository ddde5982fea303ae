"""Sign-flip test: under the null, every document's difference could as well have had the other sign.

What it tests is this symmetry. It is exact where the two runs could be exchanged on every document. Where many
documents win a little and a few lose everything, so that the mean is 0 without symmetry, it rejects too often until
there are some hundred documents (0.32 at a nominal 0.05 with 60); `aurac.statistics.score_interval` tests the mean
itself.

A document's whole row of ranks is flipped at once, which is why the test takes one number a document. Flipping single
(document, rank) cells would take ranks for independent.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from aurac.quadrature import Vector
from aurac.statistics.resample import check_resamples, default_rng

_BLOCK_CELLS = 4_000_000


def sign_flip_p(
    differences: npt.ArrayLike, *, n_resamples: int = 9999, rng: np.random.Generator | None = None
) -> float:
    """Return the two-sided p-value of the sign-flip test on per-document differences, shape (n,).

    Exact when all 2^m sign patterns of the m non-zero differences are at most `n_resamples`; otherwise
    (#{|mean of a random pattern| >= |mean|} + 1) / (n_resamples + 1) (Phipson and Smyth 2010).

    Args:
        differences: One difference a document, or a cluster's sum of them where documents share passages.
        n_resamples: Random patterns, where all of them are too many.
        rng: Source of the patterns; by default seeded with 12345.

    Example:
        >>> sign_flip_p([1.0, 1.0, 1.0])  # 2 of 8 patterns are as extreme
        0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if len(d) == 0:
        return 1.0
    # Sums that are equal but for rounding count as equally extreme.
    bound = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if len(d) <= math.log2(check_resamples(n_resamples)):
        return float((np.abs(all_signs(len(d)) @ d) >= bound).mean())
    sums = _random_sums(np.abs(d), n_resamples, default_rng(rng))
    return float((np.count_nonzero(np.abs(sums) >= bound) + 1) / (n_resamples + 1))


def all_signs(m: int) -> npt.NDArray[np.int64]:
    """Return all patterns of m signs, shape (2^m, m)."""
    bits = np.arange(2**m)[:, None] >> np.arange(m) & 1
    return np.asarray(1 - 2 * bits)


def _random_sums(sizes: Vector, n_resamples: int, rng: np.random.Generator) -> Vector:
    """Return sums of randomly signed sizes.

    Documents share few distinct sizes, and a group of equals needs only its number of plus signs, a binomial count.
    """
    values, counts = np.unique(np.round(sizes, 12), return_counts=True)
    several = counts > 1
    plus = rng.binomial(counts[several], 0.5, size=(n_resamples, int(several.sum())))
    sums = (2 * plus - counts[several]) @ values[several]
    return np.asarray(sums + _signed_sums(values[~several], n_resamples, rng))


def _signed_sums(values: Vector, n_resamples: int, rng: np.random.Generator) -> Vector:
    """Flip every value by itself, in blocks that fit in memory."""
    block = max(1, _BLOCK_CELLS // max(1, len(values)))
    sums = []
    for start in range(0, n_resamples, block):
        shape = (min(block, n_resamples - start), len(values))
        sums.append(2 * (rng.integers(0, 2, size=shape, dtype=np.int8) @ values) - values.sum())
    return np.concatenate(sums)
