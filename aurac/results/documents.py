"""`documents.parquet`: the rows of all cells, a part for each task, and enough beside them to rebuild `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aurac.results.cells import Key, StoredCell, named, wrong_entry
from aurac.results.damage import Damage
from aurac.results.files import DOCUMENTS, wrong_parts
from aurac.results.tables import (
    DamagedTableError,
    about_of,
    open_parquet,
    read_part,
    schema,
    sort,
    write_tables,
)

_REBUILT = ("identity", "asked", "tasks", "groups", "parts")
_TIMES = ("seconds", "work")


@dataclass(frozen=True)
class Documents:
    """What `documents.parquet` holds.

    Attributes:
        rows: Cell -> its rows, as a pyarrow table.
        damage: Parts that cannot be read.
        about: The parts of `run.json` that were current when it was written; None where they are absent.
    """

    rows: Mapping[Key, Any] = field(default_factory=dict)
    damage: Sequence[Damage] = ()
    about: Mapping[str, Any] | None = None


def write_documents(folder: Path, cells: Mapping[Key, StoredCell], run: Mapping[str, Any]) -> None:
    """Replace `documents.parquet` by the rows of these cells, in an order that does not depend on when they came.

    A part holds a task at all ranks: damage costs one task at most, and the hashes of its documents are stored once. (A
    part for each cell makes the file 8 times as large.)

    Args:
        folder: Folder of the record.
        cells: All cells that were measured.
        run: `run.json`; what is needed to rebuild it, without times, is written too.
    """
    import pyarrow as pa

    tasks = sorted({task for task, _ in cells})
    tables = [sort(pa.concat_tables([_rows(cells[key]) for key in sorted(cells) if key[0] == task])) for task in tasks]
    entries = [{k: v for k, v in cells[key].entry.items() if k not in _TIMES} for key in sorted(cells)]
    about = {name: run[name] for name in _REBUILT if name in run} | {"cells": entries}
    write_tables(folder / DOCUMENTS, tables or [schema().empty_table()], about)


def read_documents(folder: Path) -> Documents:
    """Read what can be read of `documents.parquet`; nothing, where there is none."""
    file = folder / DOCUMENTS
    if not file.exists():
        return Documents()
    try:
        parquet = open_parquet(file)
        about = about_of(parquet)
        about = None if about is None or wrong_parts(about) or any(map(wrong_entry, about["cells"])) else about
    except DamagedTableError as exc:
        return Documents(damage=[Damage(file, str(exc))])
    rows: dict[Key, Any] = {}
    damage = []
    for number in range(parquet.num_row_groups):
        try:
            rows |= _split(read_part(parquet, number))
        except DamagedTableError as exc:
            damage.append(Damage(file, str(exc), _cells_of(about, number)))
    return Documents(rows, damage, about)


def _rows(cell: StoredCell) -> Any:
    return cell.rows.replace_schema_metadata(None)


def _cells_of(about: Mapping[str, Any] | None, number: int) -> str:
    """Name the cells of a part that cannot be read, which is that of the task with this number.

    Not from the statistics in the file's footer: pyarrow 26 ends the process where those are damaged.
    """
    cells = [] if about is None else [(entry["task"], entry["rank"]) for entry in about["cells"]]
    tasks = sorted({task for task, _ in cells})
    mine = [key for key in cells if tasks[number : number + 1] == [key[0]]]
    if len(mine) < 2:
        return "".join(map(named, mine))
    return f"cells ({mine[0][0]}, rank {mine[0][1]}) to ({mine[-1][0]}, rank {mine[-1][1]})"


def _split(table: Any) -> dict[Key, Any]:
    """Split a table into one for each cell."""
    table = sort(table)
    if len(table) == 0:
        return {}
    tasks, ranks = table["task"].to_numpy(), table["rank"].to_numpy()
    starts = np.flatnonzero(np.append(True, (tasks[1:] != tasks[:-1]) | (ranks[1:] != ranks[:-1])))
    stops = np.append(starts[1:], len(table))
    return {(str(tasks[a]), int(ranks[a])): table.slice(int(a), int(b - a)) for a, b in zip(starts, stops, strict=True)}
