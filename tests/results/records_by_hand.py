"""Small records made by hand, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aurac.results import Cell, RunRecord

IDENTITY = {"adapter": {"path": "a", "sha256": "aa", "method": "dylora", "max_rank": 4}, "base": {"sha256": "bb"}}


def make_cell(task: str, rank: int, scores: Sequence[float | None], **changes: Any) -> Cell:
    n = len(scores)
    metric, filter_name = changes.pop("metric", "acc"), changes.pop("filter_name", "none")
    known = [score for score in scores if score is not None]
    columns = {
        "doc_id": list(range(n)),
        "doc_hash": [f"d{i}" for i in range(n)],
        "prompt_hash": [f"p{i}" for i in range(n)],
        "filter": [filter_name] * n,
        "metric": [metric] * n,
        "score": list(scores),
        "weight": changes.pop("weights", [None] * n),
        **changes.pop("columns", {}),
    }
    value = changes.pop("value", sum(known) / n if known else None)
    return Cell(task, rank, 0.5, {f"{metric},{filter_name}": value}, columns, **changes)


def settings(n: int, **changes: Any) -> dict[str, Any]:
    metrics = {"acc": {"aggregation": "mean", "higher_is_better": True}}
    return {
        "num_fewshot": 0,
        "version": "1.0",
        "n_documents": n,
        "requests_sha256": "cc",
        "metrics": metrics,
    } | changes


def write(
    folder: Path, cells: Sequence[Cell], *, groups: Any = None, asked: Any = None, tasks: Any = None, **identity: Any
) -> Path:
    names = list(dict.fromkeys(cell.task for cell in cells))
    sizes = {cell.task: len(cell.columns["doc_id"]) for cell in cells}
    with RunRecord(folder, {**IDENTITY, **identity}) as record:
        record.extend(
            asked={name: {"task": name} for name in names} if asked is None else asked,
            tasks=tasks or {name: settings(sizes[name]) for name in names},
            groups=groups or {},
            ranks=sorted({cell.rank for cell in cells}),
        )
        for cell in cells:
            record.add(cell)
    return folder


def interrupt(folder: Path, cells: Sequence[Cell], *, plan: Any = None) -> None:
    """Press Ctrl-C after these cells."""
    with suppress(KeyboardInterrupt), RunRecord(folder, IDENTITY) as record:
        if plan:
            record.extend(**plan)
        for cell in cells:
            record.add(cell)
        raise KeyboardInterrupt
