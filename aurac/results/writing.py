"""`RunRecord`: the record of a sweep while it is written; made, extended, resumed, never mixed."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aurac.errors import RecordError
from aurac.results.cells import DONE, MEASURED, PART, Cell, Key, StoredCell, write_cell, wrong_entry
from aurac.results.damage import SET_ASIDE, Damage, refuse, set_aside
from aurac.results.documents import read_documents, write_documents
from aurac.results.files import (
    CELLS,
    DOCUMENTS,
    LOCK,
    PART_VERSION,
    PROFILE,
    RUN_JSON,
    SCHEMA_VERSION,
    DamagedRunJsonError,
    plain,
    read_run_json,
    write_run_json,
)
from aurac.results.stored import read_cells

_NOT_IDENTITY = {"adapter.path", "adapter.notes", "base.name_or_path"}
"""Where things lay, and what was said of them; their hashes say what they are."""
ASKED = {"precision", "audit"}
"""Keys of the identity of a sweep that may ask a part of the documents."""
_FIXED = ("num_fewshot", "version", "n_documents", "requests_sha256", "docs_hash")
"""What may not change in a task between two calls that write one record."""


class RunRecord:
    """The record of one sweep, open for writing; a context manager that holds the folder's lock.

    Entering makes the folder or resumes what is in it. Leaving without an exception folds the cells' files into
    `documents.parquet`; after an exception they stay as they are, and the next opening folds them. A new record in
    which nothing was measured before an exception is removed. What is damaged is copied to `damaged/` with a warning,
    and counts as not measured.

    Args:
        folder: Where; made if it is not there.
        identity: What changes the numbers of every cell (adapter, base model, dtype, seed, engine, limit ...).
            Dictionaries of numbers and strings.

    Raises:
        RecordError: On entering, if the folder holds another run, something else, or is being written by another
            process.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any]) -> None:
        """Remember what to open."""
        self.folder = Path(folder)
        self._identity: dict[str, Any] = plain(identity)
        self._lock: Any = None
        self._is_new = False
        self._run: dict[str, Any] = {}
        self._entries: dict[Key, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        """Take the lock, then make the record or resume it."""
        check_identity(self.folder, self._identity)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._acquire()
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Fold the cells where all went well, and let go of the lock."""
        try:
            if kind is None:
                self._fold()
            elif self._is_new and not (self.folder / CELLS).exists():
                self._remove()
        finally:
            self._lock.release()

    def extend(
        self,
        *,
        asked: Mapping[str, Any],
        tasks: Mapping[str, Mapping[str, Any]],
        groups: Mapping[str, Any],
        ranks: Sequence[int],
    ) -> None:
        """Plan to measure `tasks` at `ranks`, and write the plan.

        Args:
            asked: Name that the user asked for -> task or group, metric and filter of its headline curve.
            tasks: Leaf task -> its settings (num_fewshot, version, n_documents, requests_sha256, metrics, ...).
            groups: Group -> its member tasks and how it averages them.
            ranks: Ranks, from 1.

        Raises:
            RecordError: If a task is already in the record with other settings or other prompts.
        """
        for name, settings in plain(tasks).items():
            self._check_task(name, settings)
            self._run["tasks"][name] = settings
        self._run["asked"] |= plain(asked)
        self._run["groups"] |= plain(groups)
        for task in tasks:
            for rank in ranks:
                self._entries.setdefault((task, rank), {"task": task, "rank": rank, "status": "pending"})
        self._write_run()

    def note(self, **about: Any) -> None:
        """Keep other things in `run.json`, such as versions and hardware; the last writer's stay.

        Written at once: a call that resumes a sweep whose cells are all there has nothing to note.
        """
        self._run |= plain(about)
        self._write_run()

    def noted(self, name: str) -> Any:
        """Return what was noted under a name, None where nothing was."""
        return self._run.get(name)

    def has(self, task: str, rank: int) -> bool:
        """Tell whether the cell was measured, as far as was wanted; one that failed was not."""
        return self._entries.get((task, rank), {}).get("status") in (DONE, PART)

    def parts(self) -> dict[str, Any]:
        """Return task -> which part of its documents is to be asked, where that is decided; kept with `note`."""
        return dict(self._run.get("parts", {}))

    def cells(self) -> Mapping[Key, StoredCell]:
        """Return all cells with their rows, as they are on disk now."""
        stored = read_cells(self.folder, list(self._entries.values()))
        refuse(stored.damage)
        return stored.cells

    def add(self, cell: Cell) -> None:
        """Write a cell; from here on it survives whatever happens."""
        write_cell(self.folder, cell)
        self._entries[cell.task, cell.rank] = cell.entry()

    def _acquire(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except Timeout as exc:
            raise RecordError(
                f"another process is writing {self.folder}. Wait for it to end, or give another folder with --out."
            ) from exc

    def _open(self) -> None:
        check_identity(self.folder, self._identity)
        self._is_new = not (self.folder / RUN_JSON).is_file()
        self._run = self._new_run() if self._is_new else self._read_run()
        stored = read_cells(self.folder, self._run["cells"])
        self._set_aside(stored.damage)
        listed = [(e["task"], e["rank"]) for e in self._run["cells"] if wrong_entry(e) is None]
        pending = {key: {"task": key[0], "rank": key[1], "status": "pending"} for key in listed}
        self._entries = {**pending, **{key: cell.entry for key, cell in stored.cells.items()}}
        if stored.damage or (self.folder / CELLS).exists():
            self._fold(stored.cells)

    def _read_run(self) -> dict[str, Any]:
        """Read `run.json`, or rebuild it from `documents.parquet`; where that cannot be done, all is measured again."""
        try:
            return read_run_json(self.folder)
        except DamagedRunJsonError as error:
            run = {**self._new_run(), **(read_documents(self.folder).about or {})}
            lost = [self.folder / RUN_JSON] if run["cells"] else self._all_files()
            places = [set_aside(file, self.folder) for file in lost]
            rest = "the cells in documents.parquet are kept" if run["cells"] else "nothing else says what was measured"
            warnings.warn(f"{error} Copied to {places[0].parent}; {rest}.", stacklevel=2)
            if not run["cells"]:
                (self.folder / DOCUMENTS).unlink(missing_ok=True)
                shutil.rmtree(self.folder / CELLS, ignore_errors=True)
            return run

    def _new_run(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"asked": {}, "tasks": {}, "groups": {}, "cells": []}
        version = PART_VERSION if ASKED & self._identity.keys() else SCHEMA_VERSION
        return {"schema_version": version, "created": _now(), "identity": self._identity, **empty}

    def _all_files(self) -> list[Path]:
        files = [self.folder / RUN_JSON, self.folder / DOCUMENTS, *sorted((self.folder / CELLS).glob("*.parquet"))]
        return [file for file in files if file.exists()]

    def _set_aside(self, damage: Sequence[Damage]) -> None:
        for file in dict.fromkeys(d.file for d in damage if d.file.exists()):
            place = set_aside(file, self.folder)
            for found in damage:
                if found.file == file:
                    warnings.warn(f"{found}. A copy is {place}; what was lost is measured again.", stacklevel=2)

    def _fold(self, cells: Mapping[Key, StoredCell] | None = None) -> None:
        """Put the cells' files into `documents.parquet`; each step leaves a record that can be read."""
        if cells is not None or (self.folder / CELLS).exists():
            if cells is None:
                stored = read_cells(self.folder, list(self._entries.values()))
                refuse(stored.damage)
                cells = stored.cells
            write_documents(self.folder, cells, self._run)
        self._write_run()
        shutil.rmtree(self.folder / CELLS, ignore_errors=True)

    def _remove(self) -> None:
        for name in (RUN_JSON, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's files are in it
            self.folder.rmdir()

    def _write_run(self) -> None:
        order = {task: number for number, task in enumerate(self._run["tasks"])}
        keys = sorted(self._entries, key=lambda key: (order.get(key[0], len(order)), key))
        self._run["cells"] = [self._entries[key] for key in keys]
        self._run["updated"] = _now()
        write_run_json(self.folder, self._run)

    def _check_task(self, name: str, settings: Mapping[str, Any]) -> None:
        old = self._run["tasks"].get(name)
        if old is None or not any(e["status"] in MEASURED for key, e in self._entries.items() if key[0] == name):
            return
        for key in _FIXED:
            if old.get(key) != settings.get(key):
                raise RecordError(
                    f"{self.folder} already holds task {name!r} with another {key}: {old.get(key)!r} there, "
                    f"{settings.get(key)!r} now. Ask for the same, or give another folder with --out."
                )


def check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raise `RecordError` if the folder holds another run than this, or something that is no run; changes nothing."""
    if not folder.is_dir():
        if folder.exists():
            raise RecordError(f"{folder} is a file. Give a folder for the record with --out.")
        return
    if not (folder / RUN_JSON).is_file():
        names = {item.name for item in folder.iterdir() if not item.name.startswith(".")}
        if foreign := sorted(names - {SET_ASIDE, PROFILE}):
            raise RecordError(
                f"{folder} holds {foreign[0]!r} but no run record. Give another folder with --out, or empty this one."
            )
        return
    try:
        recorded = _flat(read_run_json(folder)["identity"])
    except DamagedRunJsonError:
        about = read_documents(folder).about
        if about is None:  # nothing says what was measured; opening the record sets it aside
            return
        recorded = _flat(about["identity"])
    given = _flat(plain(identity))
    differing = [
        f"{key} is {recorded.get(key)!r} there and {given.get(key)!r} here"
        for key in sorted({*recorded, *given} - _NOT_IDENTITY)
        if recorded.get(key) != given.get(key)
    ]
    if differing:
        more = f" (and {len(differing) - 3} more)" if len(differing) > 3 else ""
        raise RecordError(
            f"{folder} holds another run: {'; '.join(differing[:3])}{more}. Give another folder with --out."
        )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return {"adapter.sha256": ...} for {"adapter": {"sha256": ...}}."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
