"""Documents that share a passage, as one: values of clusters whose mean and spread are those of the documents."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError

Array = npt.NDArray[np.float64]


def numbered(labels: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    """Return the number of each document's cluster, from 0 in the order of their first documents, shape (n,)."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.asarray([numbers[label] for label in labels], dtype=np.intp)


def sums(values: npt.ArrayLike, labels: Sequence[Hashable]) -> Array:
    """Return the sum over the documents of each cluster, shape (G, ...), of values of shape (n, ...).

    Example:
        >>> sums([1.0, 2.0, 4.0], ["a", "b", "a"]).tolist()
        [5.0, 2.0]
    """
    a, number = np.asarray(values, dtype=np.float64), numbered(labels)
    if len(number) != len(a):
        raise CurveError(f"{len(number)} cluster labels for {len(a)} documents. Give one label a document.")
    made = np.zeros((int(number.max()) + 1, *a.shape[1:]))
    np.add.at(made, number, a)
    return made


def linearised(values: npt.ArrayLike, labels: Sequence[Hashable]) -> Array:
    """Return one value a cluster, m + G / n * (sum over its documents of a - m), shape (G, ...).

    Their mean is m, that of the documents, and std / sqrt(G) is Liang and Zeger's (1986) error of it, so that whatever
    takes documents for independent may take these. Two clusters or more are needed.

    Example:
        >>> linearised([0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"]).tolist()  # 1/2 -+ 2/4 * 2/2
        [0.0, 1.0]
    """
    a = np.asarray(values, dtype=np.float64)
    mean = a.mean(axis=0)
    made = sums(a - mean, labels)
    if len(made) < 2:
        raise CurveError("all documents are in one cluster, so there is no standard error. Give at least 2 clusters.")
    return np.asarray(mean + len(made) / len(a) * made)
