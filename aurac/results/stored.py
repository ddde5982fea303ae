"""What a record's files hold, taken together: the cells that were measured, and what is damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurac.results.cells import MEASURED, Key, StoredCell, cell_file, named, read_cell, wrong_entry
from aurac.results.damage import Damage
from aurac.results.documents import read_documents
from aurac.results.files import CELLS, DOCUMENTS, RUN_JSON
from aurac.results.tables import DamagedTableError, schema


@dataclass(frozen=True)
class Stored:
    """Cells that can be used, and damage; what is damaged is in none of the cells.

    Attributes:
        cells: (task, rank) -> cell, measured or failed.
        damage: Everything that could not be read.
    """

    cells: Mapping[Key, StoredCell]
    damage: Sequence[Damage]


def read_cells(folder: Path, entries: Sequence[Any]) -> Stored:
    """Read the cells that were measured: those that `entries` (of `run.json`) lists, and files of an unfinished sweep.

    Args:
        folder: Folder of the record.
        entries: The list `cells` of `run.json`.
    """
    documents = read_documents(folder)
    cells: dict[Key, StoredCell] = {}
    damage = list(documents.damage)
    listed: set[Key] = set()
    for entry in entries:
        wrong = wrong_entry(entry)
        if wrong is None and (entry["task"], entry["rank"]) in listed:
            wrong = "run.json lists it twice"
        if wrong:
            damage.append(Damage(folder / RUN_JSON, wrong, _name(entry)))
            continue
        listed.add((entry["task"], entry["rank"]))
        if entry["status"] == "failed":
            cells[entry["task"], entry["rank"]] = StoredCell(entry, schema().empty_table())
        elif entry["status"] in MEASURED:
            key = entry["task"], entry["rank"]
            if key in documents.rows:
                cells[key] = StoredCell(entry, documents.rows[key])
            elif not cell_file(folder, key).exists() and not documents.damage:
                damage.append(Damage(folder / DOCUMENTS, "it lacks rows that run.json lists as done", named(key)))
    for file in sorted((folder / CELLS).glob("*.parquet")):
        try:
            cell = read_cell(file)
        except DamagedTableError as exc:
            damage.append(Damage(file, str(exc), f"cell {file.stem.replace('@', ', rank ')}"))
        else:
            cells[cell.entry["task"], cell.entry["rank"]] = cell
    return Stored(cells, damage)


def _name(entry: Any) -> str:
    known = isinstance(entry, Mapping) and isinstance(entry.get("task"), str) and isinstance(entry.get("rank"), int)
    return named((entry["task"], entry["rank"])) if known else ""
