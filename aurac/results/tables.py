"""The rows of cells as parquet: columns, order, checksums, and which failures to read them mean damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from aurac.writing import write_atomically

COLUMNS = {
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
DOCUMENT_COLUMNS = tuple(name for name in COLUMNS if name not in ("task", "rank"))
"""Columns of `Cell.columns`."""
DRAWS = "draws"
"""One more column where few-shot examples were drawn several times: the score under each draw, of which `score` is the
mean. In files of other records it is not there."""
_ORDER = ("task", "rank", "metric", "filter", "doc_id")
_MAY_BE_NULL = ("score", "weight")
_METADATA, _CHECKSUM = b"aurac", b"aurac_sha256"


class DamagedTableError(Exception):
    """A parquet file, or a part of it, whose content cannot be read; never leaves this room."""


def schema() -> Any:
    """Return the pyarrow schema of the rows."""
    import pyarrow as pa

    fields = [(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()]
    return pa.schema([*fields, (DRAWS, pa.list_(pa.float64()))])


def has_draws(table: Any) -> bool:
    """Tell whether a row has its scores under several draws of examples."""
    return bool(table[DRAWS].null_count < len(table))


def _no_draws(n: int) -> Any:
    import pyarrow as pa

    return pa.nulls(n, schema().field(DRAWS).type)


def sort(table: Any) -> Any:
    """Return the rows in an order that does not depend on when they were measured."""
    return table.sort_by([(name, "ascending") for name in _ORDER])


def write_tables(file: Path, tables: Iterable[Any], about: Mapping[str, Any]) -> None:
    """Write tables as one file, whole or not at all: each a part with checksums of its own, `about` beside them."""
    import pyarrow.parquet as pq

    tables = list(tables)
    kept = schema() if any(map(has_draws, tables)) else schema().remove(len(COLUMNS))
    text = json.dumps(about, allow_nan=False, sort_keys=True).encode()
    metadata = {_METADATA: text, _CHECKSUM: hashlib.sha256(text).hexdigest()}

    def write(path: Path) -> None:
        settings = {"compression": "zstd", "write_page_checksum": True}
        with (
            path.open("wb") as stream,
            pq.ParquetWriter(stream, kept.with_metadata(metadata), **settings) as writer,
        ):
            for table in tables:
                writer.write_table(table.select(kept.names).replace_schema_metadata(metadata))

    write_atomically(file, write)


def open_parquet(file: Path) -> Any:
    """Open a parquet file; its checksums are compared when parts are read.

    Raises:
        DamagedTableError: If it is none; other failures to read (permissions, a broken disk) are raised as they are.
    """
    import pyarrow.parquet as pq

    data = BytesIO(file.read_bytes())  # pyarrow opens no file whose name is no UTF-8
    return guarded(lambda: pq.ParquetFile(data, page_checksum_verification=True))


def read_part(parquet: Any, number: int | None = None) -> Any:
    """Return the rows of one part, or of all of them, with the columns of `COLUMNS` and `DRAWS`.

    Raises:
        DamagedTableError: If they cannot be read.
    """
    table = guarded(lambda: parquet.read() if number is None else parquet.read_row_group(number))
    if DRAWS not in table.column_names:
        table = table.append_column(DRAWS, _no_draws(len(table)))
    table = guarded(lambda: table.select([*COLUMNS, DRAWS]))
    _check_types(table)
    table = guarded(lambda: table.cast(schema().with_metadata(table.schema.metadata)))
    _check_rows(table)
    return table


def _check_types(table: Any) -> None:
    """Raise `DamagedTableError` for texts and truth values where numbers belong; a cast would accept them."""
    import pyarrow as pa

    for field in table.select(list(COLUMNS)).schema:
        number = COLUMNS[field.name] != "string" and not pa.types.is_null(field.type)
        if number and not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise DamagedTableError(f"the column {field.name} is of type {field.type}, not {COLUMNS[field.name]}")


def _check_rows(table: Any) -> None:
    """Raise `DamagedTableError` for a row that belongs to no document of a cell, and for one that occurs twice."""
    import pyarrow.compute as pc

    for name in COLUMNS:
        if name not in _MAY_BE_NULL and table[name].null_count:
            row = table.filter(pc.is_null(table[name])).slice(0, 1)
            raise DamagedTableError(f"a row has no {name}: {_named(row)}")
    low = table.filter(pc.less(table["rank"], 0))
    if len(low):
        raise DamagedTableError(f"a rank is below 0: {_named(low)}")
    lengths = pc.unique(pc.drop_null(pc.list_value_length(table[DRAWS]))).to_pylist()
    if len(lengths) > 1:
        raise DamagedTableError(f"some rows have scores under {lengths[0]} draws of examples, others {lengths[1]}")
    counts = table.group_by(list(_ORDER)).aggregate([([], "count_all")])
    if len(counts) < len(table):
        twice = counts.filter(pc.greater(counts["count_all"], 1))
        raise DamagedTableError(f"a row occurs twice: {_named(twice)}")


def _named(rows: Any) -> str:
    """Name the first of these rows."""
    row = rows.slice(0, 1).to_pylist()[0]
    return f"task {row['task']!r}, rank {row['rank']}, document {row['doc_id']}, metric {row['metric']!r}"


def about_of(parquet: Any) -> dict[str, Any] | None:
    """Return what was written beside the rows; None where it is absent."""
    metadata = guarded(lambda: parquet.schema_arrow).metadata or {}
    if _METADATA not in metadata:
        return None
    if hashlib.sha256(metadata[_METADATA]).hexdigest().encode() != metadata.get(_CHECKSUM):
        raise DamagedTableError("what it says about itself does not have its checksum")
    about: dict[str, Any] = guarded(lambda: dict(json.loads(metadata[_METADATA])))
    return about


def guarded(read: Callable[[], Any]) -> Any:
    """Call `read`, and tell damage from a disk that fails or a file that may not be read: those have an errno."""
    import pyarrow as pa

    try:
        return read()
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise DamagedTableError(str(exc)) from exc
    except (pa.ArrowException, KeyError, ValueError, TypeError, RecursionError) as exc:
        raise DamagedTableError(str(exc)) from exc
