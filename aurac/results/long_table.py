"""A run as one long table: a row for each task, rank, document, filter and metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aurac.errors import RecordError
from aurac.results.curves import BASE_RANK
from aurac.results.reading import Run
from aurac.results.tables import DRAWS, has_draws
from aurac.writing import write_atomically


def long_table(run: Run) -> Any:
    """Return the columns of `documents.parquet` behind the run's name and method, as a pyarrow table.

    Rows of the base model (rank 0) are left out: what reads the table back takes every rank for a point of the curve.

    Raises:
        RecordError: If the run was never on disk, or nothing was measured yet.
    """
    import pyarrow as pa

    cells = {} if run._content is None else run._content.cells
    tables = [cell.rows for (_, rank), cell in sorted(cells.items()) if rank != BASE_RANK]
    if not tables:
        raise RecordError(f"run {run.name!r} has no documents on disk, so there is nothing to export.")
    table = pa.concat_tables(tables)
    table = table if has_draws(table) else table.drop_columns([DRAWS])
    for name, value in (("method", run.method), ("run", run.name)):
        table = table.add_column(0, name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
    return table


def write_parquet(run: Run, file: Path) -> None:
    """Write the long table as Parquet."""
    import pyarrow.parquet as pq

    table = long_table(run)
    write_new(file, lambda path: pq.write_table(table, path, compression="zstd"))


def write_csv(run: Run, file: Path) -> None:
    """Write the long table as CSV; what does not exist is empty, and scores under draws of examples have spaces."""
    import pyarrow as pa
    from pyarrow import csv

    table = long_table(run)
    if DRAWS in table.column_names:
        texts = [None if scores is None else " ".join(map(repr, scores)) for scores in table[DRAWS].to_pylist()]
        table = table.set_column(table.schema.get_field_index(DRAWS), DRAWS, pa.array(texts, pa.string()))
    write_new(file, lambda path: csv.write_csv(table, path))


def write_new(file: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file that does not exist yet, whole or not at all."""
    if file.is_dir():
        raise RecordError(f"{file} is a folder. Give a file with --out.")
    if file.exists():
        raise RecordError(f"{file} exists already. Remove it, or give another file with --out.")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, write)
