"""Cells (one task at one rank): a parquet file each while a sweep runs, which carries the cell's entry as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aurac.results.files import CELLS, plain
from aurac.results.tables import (
    DamagedTableError,
    about_of,
    open_parquet,
    read_part,
    schema,
    sort,
    write_tables,
)

Key = tuple[str, int]
"""Task and rank."""
DONE, PART, PILOT = "done", "part", "pilot"
"""What a cell with numbers holds: all documents of its task, the part that was wanted, a part that is to grow."""
MEASURED = (DONE, PART, PILOT)


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
            over the corpus); with several draws of few-shot examples also draws, the score under each.
        error: Why the cell failed; None where it did not.
        work: What the engine forwarded for it, where the engine counts that.
        status: "done" where all documents of the task were asked, "part" where a part was, as many as were wanted,
            "pilot" where more documents are to come.
    """

    task: str
    rank: int
    seconds: float | None
    metrics: Mapping[str, float | None]
    columns: Mapping[str, Sequence[Any]]
    error: str | None = None
    work: Mapping[str, Any] | None = None
    status: str = DONE

    def entry(self) -> dict[str, Any]:
        """Return what `run.json` says about the cell."""
        status: dict[str, Any] = {"status": self.status}
        if self.error:
            status = {"status": "failed", "error": self.error}
        elif self.status != DONE:
            status["documents"] = len(set(self.columns["doc_id"]))
        work = {} if self.work is None else {"work": plain(self.work)}
        about = {"seconds": self.seconds, "metrics": plain(self.metrics), **work}
        return {"task": self.task, "rank": self.rank, **status, **about}


@dataclass(frozen=True)
class StoredCell:
    """A cell as read: its entry in `run.json`, and its rows as a pyarrow table in the order of `documents.parquet`."""

    entry: Mapping[str, Any]
    rows: Any


def write_cell(folder: Path, cell: Cell) -> None:
    """Write the cell's own file, so that an interrupted sweep loses nothing that was measured."""
    import pyarrow as pa

    (folder / CELLS).mkdir(exist_ok=True)
    n = len(cell.columns["doc_id"])
    columns = {"task": [cell.task] * n, "rank": [cell.rank] * n, **cell.columns}
    table = pa.table({name: columns.get(name, [None] * n) for name in schema().names}, schema=schema())
    write_tables(cell_file(folder, (cell.task, cell.rank)), [sort(table)], cell.entry())


def read_cell(file: Path) -> StoredCell:
    """Read a cell's own file.

    Raises:
        DamagedTableError: If it is damaged, or holds another cell than its name says.
    """
    parquet = open_parquet(file)
    entry = about_of(parquet) or {}
    if wrong := wrong_entry(entry):
        raise DamagedTableError(wrong)
    if file.name != _cell_name((entry["task"], entry["rank"])):
        raise DamagedTableError(f"it says that it holds {entry['task']} at rank {entry['rank']}")
    return StoredCell(entry, read_part(parquet).replace_schema_metadata(None))


def wrong_entry(entry: Any) -> str | None:
    """Say what is wrong with the entry of a cell that was measured; None where nothing is."""
    if not isinstance(entry, Mapping):
        return f"a cell is {entry!r:.60}"
    if not isinstance(entry.get("task"), str) or type(entry.get("rank")) is not int:
        return f"a cell has the task {entry.get('task')!r:.60} and the rank {entry.get('rank')!r:.60}"
    if entry.get("status") not in (*MEASURED, "failed", "pending"):
        return f"the status is {entry.get('status')!r:.60}"
    metrics = entry.get("metrics", {} if entry["status"] == "pending" else None)
    if not isinstance(metrics, Mapping) or not all(v is None or type(v) in (int, float) for v in metrics.values()):
        return f"the metrics are {metrics!r:.60}"
    return "there are no metrics" if entry["status"] in MEASURED and not metrics else None


def cell_file(folder: Path, key: Key) -> Path:
    """Return where the cell's own file lies while a sweep runs; separators in task names are escaped."""
    return folder / CELLS / _cell_name(key)


def named(key: Key) -> str:
    """Return what messages call a cell.

    Example:
        >>> named(("arc", 4))
        'cell (arc, rank 4)'
    """
    return f"cell ({key[0]}, rank {key[1]})"


def _cell_name(key: Key) -> str:
    return f"{quote(key[0], safe='')}@{key[1]}.parquet"
