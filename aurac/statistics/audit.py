"""An audit: all documents at one anchor rank, a stratified random part of them at the other ranks.

Documents are grouped by what the anchor scored (strata). In stratum h, with N_h documents of which n_h were audited,
the others are taken to score what the audited ones do on average: the mean over all is sum of N_h / N * mean_h. Its
error for new documents of the kind has the parts sum of (N_h/N)^2 s_h^2 / n_h, for those that were not audited, and
sum of (N_h/N) (mean_h - mean)^2 / N, for which documents there are at all (Cochran 1977, section 12.2, double sampling
for stratification).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError

Integers = npt.NDArray[np.intp]
Matrix = npt.NDArray[np.float64]

MOST_STRATA = 4
"""Strata at most; an anchor with more different scores is cut at its quartiles."""
FEWEST = 15
"""Audited documents of each stratum, at least."""


def strata(values: npt.ArrayLike) -> Integers:
    """Return the stratum of each document, from 0, from its score at the anchor rank, shape (N,).

    Example:
        >>> strata([1.0, 0.0, 1.0]).tolist(), strata([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]).tolist()
        ([1, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3])
    """
    scores = np.asarray(values, dtype=np.float64)
    distinct, number = np.unique(scores, return_inverse=True)
    if len(distinct) <= MOST_STRATA:
        return np.asarray(number, dtype=np.intp)
    cuts = np.unique(np.quantile(scores, [0.25, 0.5, 0.75]))
    return np.unique(np.searchsorted(cuts, scores, side="left"), return_inverse=True)[1].astype(np.intp)


def allocate(sizes: Sequence[int], spreads: Sequence[float], total: int, floors: Sequence[int]) -> list[int]:
    """Divide audits over strata as Neyman (1934) does: n_h proportional to N_h s_h, within bounds.

    Args:
        sizes: N_h, documents of each stratum.
        spreads: s_h, the standard deviation of the score in each stratum, positive.
        total: Audits in all; taken to the nearest number that the bounds allow.
        floors: Fewest audits of each stratum; a smaller stratum is audited as a whole.

    Returns:
        n_h, which sum to `total`.

    Example:
        >>> allocate([100, 300], [0.3, 0.1], 40, [5, 5])  # 100 * 0.3 = 300 * 0.1
        [20, 20]
        >>> allocate([100, 300], [0.4, 0.01], 20, [5, 5])  # 40 : 3, and 5 at least
        [15, 5]
    """
    upper = np.asarray(sizes, dtype=np.float64)
    lower = np.minimum(np.asarray(floors, dtype=np.float64), upper)
    shares = upper * np.asarray(spreads, dtype=np.float64)
    if not (shares[upper > 0] > 0).all():
        raise CurveError("a stratum has no spread, so audits cannot be divided. Give positive spreads.")
    wanted = int(min(max(total, lower.sum()), upper.sum()))
    low, high = 0.0, float((upper[upper > 0] / shares[upper > 0]).max())
    for _ in range(200):  # n_h = clip(factor * N_h s_h), whose sum rises with the factor
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle * shares, lower, upper).sum() < wanted else (low, middle)
    exact = np.clip(high * shares, lower, upper)
    counts = np.floor(exact + 1e-9).astype(int)
    order = sorted(range(len(counts)), key=lambda h: (counts[h] - exact[h], h))
    for h in order * 2:
        if counts.sum() < wanted and counts[h] < upper[h]:
            counts[h] += 1
    return [int(count) for count in counts]


def spreads(values: npt.ArrayLike, labels: Integers, n_strata: int) -> list[float]:
    """Return the spread of the score in each stratum from a pilot: sqrt(s_h^2 + 0.25 / (n_h + 2)), never 0.

    The second term leaves room for documents of a kind that the pilot did not show.

    Example:
        >>> spreads([1.0, 1.0], np.array([0, 0]), 1)  # sqrt(0.25 / 4)
        [0.25]
    """
    scores = np.asarray(values, dtype=np.float64)
    found = []
    for h in range(n_strata):
        mine = scores[labels == h]
        variance = float(mine.var(ddof=1)) if len(mine) > 1 else 0.0
        found.append((variance + 0.25 / (len(mine) + 2)) ** 0.5)
    return found


def expanded(labels: Integers, audited: npt.NDArray[np.bool_], values: Matrix) -> Matrix:
    """Return one value of each document whose plain mean is the audit's estimate, and whose spread gives its error.

    z_i = mean_h, and for an audited document mean_h + (N_h / n_h) sqrt(n_h / (n_h - 1)) (y_i - mean_h): std / sqrt(N)
    is then the standard error for new documents (see above). For one of them, averaged over which are audited, z_i is
    y_i, so that two audits, or an audit and a whole sweep, are compared on the differences of these.

    Args:
        labels: Stratum of each document, shape (N,).
        audited: Which documents were audited, shape (N,), with n of them.
        values: Their scores, shape (n, K).

    Raises:
        CurveError: If a stratum has fewer than two audited documents, unless it was audited as a whole.

    Example:
        >>> labels, audited = np.array([0, 0, 0, 0, 1]), np.array([True, True, False, False, True])
        >>> expanded(labels, audited, np.array([[0.0], [1.0], [1.0]])).mean().round(6)  # (4 * 0.5 + 1) / 5
        np.float64(0.6)
    """
    made = np.empty((len(labels), values.shape[1]))
    rows = np.flatnonzero(audited)
    for h in np.unique(labels):
        stratum, mine = labels == h, values[labels[rows] == h]
        n, size = len(mine), int(stratum.sum())
        if n < min(2, size):
            raise CurveError(f"stratum {h} has {n} audited documents of {size}, which show no spread. Audit more.")
        mean = mine.mean(axis=0)
        made[stratum] = mean
        scale = size / n * (n / (n - 1)) ** 0.5 if n < size else 1.0
        made[rows[labels[rows] == h]] = mean + scale * (mine - mean)
    return made
