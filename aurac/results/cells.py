"""Cells (one task at one rank): a parquet file each while a sweep runs, one table of all afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from aurac.errors import RecordError
from aurac.results.layout import CELLS, DOCUMENTS, plain, write_atomically

Key = tuple[str, int]
"""Task and rank."""
_COLUMNS = {
    "task": "string",
    "rank": "int32",
    "doc_id": "int64",
    "doc_hash": "string",
    "prompt_hash": "string",
    "filter": "string",
    "metric": "string",
    "score": "float64",
    "weight": "float64",
}
DOCUMENT_COLUMNS = tuple(name for name in _COLUMNS if name not in ("task", "rank"))
"""Columns of `Cell.columns`."""
_ORDER = ("task", "rank", "metric", "filter", "doc_id")
_METADATA = b"aurac"


@dataclass(frozen=True)
class Cell:
    """One task measured at one rank.

    Attributes:
        task: Name of the (leaf) task.
        rank: Rank, from 1.
        seconds: Time that it took; None where that is not known.
        metrics: "metric,filter" -> value over all documents, as lm-eval reports it; None where it is not finite.
        columns: The rows of `documents.parquet`, without task and rank: doc_id, doc_hash, prompt_hash, filter, metric,
            score (None where the metric exists for the corpus only) and weight (None unless the metric is a ratio
            over the corpus).
        error: Why the cell failed; None where it did not.
        work: What the engine forwarded for it, where the engine counts that.
    """

    task: str
    rank: int
    seconds: float | None
    metrics: Mapping[str, float | None]
    columns: Mapping[str, Sequence[Any]]
    error: str | None = None
    work: Mapping[str, Any] | None = None

    def entry(self) -> dict[str, Any]:
        """Return what `run.json` says about the cell."""
        status = {"status": "failed", "error": self.error} if self.error else {"status": "done"}
        work = {} if self.work is None else {"work": plain(self.work)}
        about = {"seconds": self.seconds, "metrics": plain(self.metrics), **work}
        return {"task": self.task, "rank": self.rank, **status, **about}


@dataclass(frozen=True)
class StoredCell:
    """A cell as read: its entry in `run.json`, and its rows as a pyarrow table in the order of `documents.parquet`."""

    entry: Mapping[str, Any]
    rows: Any


def write_cell(folder: Path, cell: Cell) -> None:
    """Write the cell's own file, which carries its entry as well, so that an interrupted sweep loses nothing."""
    import pyarrow as pa

    (folder / CELLS).mkdir(exist_ok=True)
    n = len(cell.columns["doc_id"])
    columns = {"task": [cell.task] * n, "rank": [cell.rank] * n, **cell.columns}
    table = _sort(pa.table({name: columns[name] for name in _COLUMNS}, schema=_schema()))
    entry = json.dumps(cell.entry(), allow_nan=False).encode()
    _write(folder / CELLS / _cell_name((cell.task, cell.rank)), table.replace_schema_metadata({_METADATA: entry}))


def write_documents(folder: Path, cells: Iterable[StoredCell]) -> None:
    """Replace `documents.parquet` by the rows of these cells, in an order that does not depend on when they came."""
    import pyarrow as pa

    tables = [cell.rows.replace_schema_metadata(None) for cell in cells]
    _write(folder / DOCUMENTS, _sort(pa.concat_tables(tables or [_schema().empty_table()])))


def read_cells(folder: Path, entries: Sequence[Mapping[str, Any]], *, repair: bool = False) -> dict[Key, StoredCell]:
    """Read the cells that were measured: those that `entries` (of `run.json`) lists, and files of an unfinished sweep.

    Args:
        folder: Folder of the record.
        entries: The list `cells` of `run.json`.
        repair: Leave out damaged cells, so that they are measured again, instead of raising.

    Raises:
        RecordError: If a file is damaged, or lacks rows of a cell; the message names file and cell.
    """
    rows = _split(_read(folder / DOCUMENTS)) if (folder / DOCUMENTS).exists() else {}
    found: dict[Key, StoredCell] = {}
    for entry in entries:
        key = _key(folder, entry)
        if entry.get("status") == "failed":
            found[key] = StoredCell(entry, _schema().empty_table())
        elif entry.get("status") == "done" and key in rows:
            found[key] = StoredCell(entry, rows[key])
        elif entry.get("status") == "done" and not repair and not cell_file(folder, key).exists():
            raise RecordError(
                f"{folder / DOCUMENTS} lacks the rows of cell ({key[0]}, rank {key[1]}), which run.json lists as done. "
                "Score again to measure this cell only."
            )
    for file in sorted((folder / CELLS).glob("*.parquet")):
        try:
            cell = _read_cell(file)
        except RecordError:
            if not repair:
                raise
        else:
            found[_key(folder, cell.entry)] = cell
    return found


def cell_file(folder: Path, key: Key) -> Path:
    """Return where the cell's own file lies while a sweep runs; separators in task names are escaped."""
    return folder / CELLS / _cell_name(key)


def _cell_name(key: Key) -> str:
    return f"{quote(key[0], safe='')}@{key[1]}.parquet"


def _key(folder: Path, entry: Mapping[str, Any]) -> Key:
    task, rank = entry.get("task"), entry.get("rank")
    if not isinstance(task, str) or not isinstance(rank, int):
        raise RecordError(f"{folder}: a cell has the task {task!r} and the rank {rank!r}. The record is damaged.")
    return task, rank


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _COLUMNS.items()])


def _write(file: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    write_atomically(file, lambda path: pq.write_table(table, path, compression="zstd"))


def _read(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file, partitioning=None)
        return table.select(list(_COLUMNS)).cast(_schema().with_metadata(table.schema.metadata))
    except (pa.ArrowException, KeyError, OSError, ValueError) as exc:
        raise RecordError(
            f"{file} is damaged: {exc}. Delete this file and score again; only what it held is measured again."
        ) from exc


def _read_cell(file: Path) -> StoredCell:
    table = _read(file)
    try:
        entry = json.loads((table.schema.metadata or {})[_METADATA])
        if file.name != _cell_name((entry["task"], entry["rank"])):
            raise ValueError(f"it says that it holds {entry['task']} at rank {entry['rank']}")
    except (KeyError, TypeError, ValueError) as exc:
        raise RecordError(f"{file} is damaged: {exc}. Delete it and score again to measure this cell only.") from exc
    return StoredCell(entry, table.replace_schema_metadata(None))


def _sort(table: Any) -> Any:
    return table.sort_by([(name, "ascending") for name in _ORDER])


def _split(table: Any) -> dict[Key, Any]:
    """Split the table of all cells into one for each."""
    table = _sort(table)
    if len(table) == 0:
        return {}
    tasks, ranks = table["task"].to_numpy(), table["rank"].to_numpy()
    starts = np.flatnonzero(np.append(True, (tasks[1:] != tasks[:-1]) | (ranks[1:] != ranks[:-1])))
    stops = np.append(starts[1:], len(table))
    return {(str(tasks[a]), int(ranks[a])): table.slice(int(a), int(b - a)) for a, b in zip(starts, stops, strict=True)}
