"""A cell whose few-shot examples were drawn several times: measured under every draw, kept as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lm_eval.api.model import LM

from aurac.harness import judge
from aurac.harness.suite import Leaf
from aurac.results import Cell
from aurac.results.tables import DOCUMENT_COLUMNS, DRAWS

_LOGGED = ("perplexity", "weighted_perplexity")
"""Aggregations of which the logarithm is a mean over documents."""
_NAMES = ("doc_id", "filter", "metric")


def measure_cell(lm: LM, leaf: Leaf, rank: int) -> Cell:
    """Return the cell of a task at a rank; under several draws of examples their mean, with the score under each.

    Args:
        lm: The model, already at this rank.
        leaf: The task.
        rank: Rank, from 1; only written into the cell.
    """
    if not leaf.draws:
        return judge.measure_cell(lm, leaf, rank)
    cells = []
    for seed, draw in leaf.draws.items():
        cell = judge.measure_cell(lm, draw, rank)
        cells.append(cell)
        if cell.error:
            return judge.failed_cell(leaf.name, rank, _seconds(cells), f"few-shot seed {seed}: {cell.error}")
    hashes = {document.doc_id: document.prompt_hash for document in leaf.documents}
    kinds = {metric: str(about["aggregation"]) for metric, about in leaf.metrics.items()}
    return mean_cell(cells, kinds, hashes)


def mean_cell(cells: Sequence[Cell], aggregations: Mapping[str, str], prompt_hashes: Mapping[int, str]) -> Cell:
    """Return the mean of cells that differ in their draw of examples alone.

    A metric that a document has under some draws only, or that exists for the corpus only, keeps its value over the
    corpus, and none for the documents.

    Args:
        cells: One a draw, measured.
        aggregations: Metric -> how lm-eval aggregates it; the mean of perplexities is taken of their logarithms.
        prompt_hashes: Number of a document -> what the record calls its prompts.
    """
    first = cells[0]
    metrics = {
        key: _mean([cell.metrics.get(key) for cell in cells], aggregations.get(key.rpartition(",")[0], "mean"))
        for key in first.metrics
    }
    rows = [_rows(cell) for cell in cells]
    whole = _whole(rows)
    made: dict[str, list[Any]] = {name: [] for name in (*DOCUMENT_COLUMNS, DRAWS)}
    for key, row in rows[0].items():
        scores = [found[key]["score"] for found in rows] if key[1:] in whole else None
        mine = {**row, "prompt_hash": prompt_hashes[row["doc_id"]], DRAWS: scores}
        mine |= {"score": float(np.mean(scores))} if scores else {"score": None, "weight": None}
        for name, values in made.items():
            values.append(mine[name])
    return Cell(first.task, first.rank, _seconds(cells), metrics, made)


def _rows(cell: Cell) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return (document, filter, metric) -> row."""
    rows = [dict(zip(DOCUMENT_COLUMNS, row, strict=True)) for row in zip(*cell.columns.values(), strict=True)]
    return {tuple(row[name] for name in _NAMES): row for row in rows}


def _whole(rows: Sequence[Mapping[tuple[Any, ...], Mapping[str, Any]]]) -> set[tuple[Any, ...]]:
    """Return (filter, metric) of what all documents have a score of under every draw, with the same weights."""
    kinds = {key[1:] for found in rows for key in found}
    lacking = {
        key[1:]
        for found in rows
        for key in {*found, *rows[0]}
        if key not in found
        or key not in rows[0]
        or found[key]["score"] is None
        or found[key]["weight"] != rows[0][key]["weight"]
    }
    return kinds - lacking


def _mean(values: Sequence[float | None], aggregation: str) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if aggregation in _LOGGED and all(value > 0 for value in known):
        return math.exp(math.fsum(map(math.log, known)) / len(known))
    return math.fsum(known) / len(known)


def _seconds(cells: Sequence[Cell]) -> float:
    return math.fsum(cell.seconds or 0.0 for cell in cells)
