"""What a curve is made from, checked: each function says which value is wrong, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aurac.curve.seeds import SeedScores
from aurac.errors import CurveError
from aurac.quadrature import Vector, as_floats

Matrix = npt.NDArray[np.float64]


def sorted_ranks(ranks: Sequence[int]) -> tuple[npt.NDArray[np.intp], Vector]:
    """Return the order that sorts the ranks, and the sorted ranks, whose values are not yet checked."""
    grid = as_floats(ranks, "ranks", "positive whole numbers")
    if grid.size == 0:
        raise CurveError("there are no ranks. Give at least one, with its accuracy.")
    if grid.ndim != 1:
        raise CurveError(f"ranks must be a list of numbers, got shape {grid.shape}.")
    order = np.argsort(grid, kind="stable")
    return order, grid[order]


def as_matrix(scores: npt.ArrayLike, ranks: Sequence[int]) -> Matrix:
    """Return the scores as (documents, ranks), all of them numbers."""
    matrix, columns = as_floats(scores, "scores"), len(ranks)
    if matrix.ndim != 2 or matrix.shape[1] != columns or matrix.shape[0] == 0:
        raise CurveError(f"scores have shape {matrix.shape}, but {columns} ranks need (documents, {columns}).")
    if len(bad := np.argwhere(~np.isfinite(matrix))):
        row, column = bad[0]
        raise CurveError(
            f"the score in row {row} at rank {ranks[column]} is {matrix[row, column]}, not a number ({len(bad)} such "
            "cells). Score it, or leave the document out at every rank."
        )
    return matrix


def as_accuracies(
    accuracies: npt.ArrayLike | None, matrix: Matrix | None, order: npt.NDArray[np.intp], full: float
) -> Vector:
    """Return the accuracies in the order of the sorted ranks as fractions, or the means of the scores."""
    if accuracies is None:
        if matrix is None:
            raise CurveError("a curve needs accuracies or per-document scores; give one of them.")
        return np.asarray(matrix.mean(axis=0))
    values = as_floats(accuracies, "accuracies")
    if values.shape != order.shape:
        raise CurveError(f"{order.size} ranks but {values.size} accuracies. Give one accuracy a rank.")
    values = values[order] / full
    if matrix is not None and not np.allclose(values, matrix.mean(axis=0), rtol=0, atol=1e-9, equal_nan=True):
        raise CurveError(
            "accuracies are not the means of the scores. Leave them out; they are computed from the scores."
        )
    return values


def merge_duplicates(
    grid: Vector, values: Vector, matrix: Matrix | None, duplicates: str
) -> tuple[Vector, Vector, Matrix | None]:
    """Return ranks, accuracies and scores with ranks that occur twice averaged, or refuse them."""
    unique, group, counts = np.unique(grid, return_inverse=True, return_counts=True)
    if len(unique) == len(grid):
        return grid, values, matrix
    if duplicates == "error":
        raise CurveError(
            f"rank {unique[counts > 1][0]:g} occurs {counts[counts > 1][0]} times. Give each rank once, or average "
            "with duplicates='mean'."
        )
    average = np.eye(len(unique))[group] / counts  # (K, unique)
    return unique, values @ average, None if matrix is None else matrix @ average


def check_values(ranks: tuple[int, ...], values: Vector, matrix: Matrix | None, bounded: bool) -> None:
    """Refuse accuracies and scores that are no numbers, or outside 0..1 on a bounded metric."""
    for rank, value in zip(ranks, values, strict=True):
        if not np.isfinite(value):
            raise CurveError(f"the accuracy at rank {rank} is {value}, not a number. Leave the rank out or measure it.")
        if bounded and value > 1 + 1e-9:
            raise CurveError(f"the accuracy at rank {rank} is {value:g}, above 1. For percentages say scale='percent'.")
        if bounded and value < 0:
            raise CurveError(
                f"the accuracy at rank {rank} is {value:g}, below 0. An accuracy lies between 0 and "
                "1; curves of other metrics are made in Python, with bounded=False."
            )
    if matrix is not None and bounded and ((matrix < 0) | (matrix > 1 + 1e-9)).any():
        raise CurveError("a document's score is outside 0..1. For other metrics say bounded=False.")


def check_documents(documents: Sequence[str] | None, matrix: Matrix | None) -> tuple[str, ...] | None:
    """Return the keys, one for each row of the scores and all different."""
    if documents is None:
        return None
    keys = tuple(documents)
    if matrix is None or len(keys) != len(matrix):
        raise CurveError(f"{len(keys)} document keys but {0 if matrix is None else len(matrix)} rows of scores.")
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise CurveError(f"document key {twice!r} occurs twice. Keys must be unique, since runs are joined on them.")
    return keys


def as_base_scores(base: npt.ArrayLike | None, matrix: Matrix | None, full: float) -> Vector | None:
    """Return the score of the base model on each document; None where it is one number, or not known."""
    if base is None or np.ndim(base) == 0:
        return None
    scores = np.asarray(base, dtype=np.float64)
    if matrix is None or scores.shape != (len(matrix),):
        raise CurveError(f"base has shape {scores.shape}. Give one number, or one for each document of the scores.")
    return frozen(scores / full)


def check_seeds(seeds: SeedScores | None, matrix: Matrix | None, order: npt.NDArray[np.intp]) -> SeedScores | None:
    """Return the scores of the seeds in the order of the sorted ranks, if the scores are their means."""
    if seeds is None:
        return None
    fits = matrix is not None and seeds.values.shape == (len(matrix), len(seeds.labels), order.size)
    sorted_seeds = seeds.ranks(order.tolist()) if fits else seeds
    if matrix is None or not fits or not np.allclose(sorted_seeds.values.mean(axis=1), matrix, rtol=0, atol=1e-9):
        raise CurveError(
            "scores are not the means over the seeds, or over the draws of examples. Use RankAccuracyCurve.from_seeds."
        )
    return sorted_seeds


def check_clusters(clusters: Sequence[str] | None, matrix: Matrix | None) -> tuple[str, ...] | None:
    """Return the labels, one for each document."""
    if clusters is None:
        return None
    if matrix is None or len(clusters) != len(matrix):
        raise CurveError(
            f"{len(clusters)} cluster labels for {0 if matrix is None else len(matrix)} documents. Give one label a "
            "document."
        )
    return tuple(clusters)


def frozen(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a copy that nothing can write to."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy
