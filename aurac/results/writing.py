"""`RunRecord`: the record of a sweep while it is written; made, extended, resumed, never mixed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aurac.errors import RecordError
from aurac.results.cells import Cell, Key, StoredCell, read_cells, write_cell, write_documents
from aurac.results.layout import CELLS, LOCK, PROFILE, RUN_JSON, SCHEMA_VERSION, plain, read_run_json, write_run_json

_NOT_IDENTITY = {"adapter.path", "base.name_or_path"}
"""Where things lay; their hashes say what they are."""
_FIXED = ("num_fewshot", "version", "n_documents", "requests_sha256")
"""What may not change in a task between two calls that write one record."""


class RunRecord:
    """The record of one sweep, open for writing; a context manager that holds the folder's lock.

    Entering makes the folder or resumes what is in it. Leaving without an exception folds the cells' files into
    `documents.parquet`; after an exception they stay as they are, and the next opening folds them. A new record in
    which nothing was measured before an exception is removed.

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
        """Keep other things in `run.json`, such as versions and hardware; the last writer's stay."""
        self._run |= plain(about)

    def has(self, task: str, rank: int) -> bool:
        """Tell whether the cell was measured; one that failed was not."""
        return self._entries.get((task, rank), {}).get("status") == "done"

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
        if self._is_new:
            empty: dict[str, Any] = {"asked": {}, "tasks": {}, "groups": {}, "cells": []}
            self._run = {"schema_version": SCHEMA_VERSION, "created": _now(), "identity": self._identity, **empty}
        else:
            self._run = read_run_json(self.folder)
        stored = read_cells(self.folder, self._run["cells"], repair=True)
        listed = {(entry["task"], entry["rank"]): entry for entry in self._run["cells"]}
        pending = {key: {"task": key[0], "rank": key[1], "status": "pending"} for key in listed if key not in stored}
        self._entries = {**pending, **{key: cell.entry for key, cell in stored.items()}}
        if (self.folder / CELLS).exists():
            self._fold(stored)

    def _fold(self, stored: Mapping[Key, StoredCell] | None = None) -> None:
        """Put the cells' files into `documents.parquet`; each step leaves a record that can be read."""
        if (self.folder / CELLS).exists():
            stored = stored or read_cells(self.folder, list(self._entries.values()), repair=True)
            write_documents(self.folder, stored.values())
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
        if old is None or not any(self.has(task, rank) for task, rank in self._entries if task == name):
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
        names = sorted(item.name for item in folder.iterdir())
        if foreign := [name for name in names if not name.startswith(".") and name != PROFILE]:
            raise RecordError(
                f"{folder} holds {foreign[0]!r} but no run record. Give another folder with --out, or empty this one."
            )
        return
    recorded, given = _flat(read_run_json(folder)["identity"]), _flat(plain(identity))
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
