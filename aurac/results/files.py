"""Names of the files of a run record, and JSON that is written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aurac.errors import MissingRecordError, RecordError
from aurac.writing import write_atomically

SCHEMA_VERSION = 1
"""Of `run.json`; raised when an older aurac would misread a new record."""
PART_VERSION = 2
"""Of the `run.json` of a sweep that may ask a part of the documents; readers of version 1 would take it for all."""
VERSIONS = (SCHEMA_VERSION, PART_VERSION)
RUN_JSON = "run.json"
DOCUMENTS = "documents.parquet"
CELLS = "cells"
LOCK = ".lock"
PROFILE = "profile.json"
"""Of `aurac profile`; may lie in the folder before the first cell is measured."""
NESTED = "aurac-run"
"""Folder of the record inside a scored adapter's folder."""
NESTED_BUDGETS = "aurac-budgets"
"""Folder of the record over budgets of parameters, beside the one over ranks."""


_MOST_NAMES = 6  # of records in one message


class DamagedRunJsonError(RecordError):
    """A `run.json` that was one and cannot be read any more."""


def find_record(path: Path) -> Path:
    """Return the folder that holds the run record: the folder itself, or `aurac-run` in an adapter's folder.

    An adapter that was scored at budgets alone has `aurac-budgets`.
    """
    for folder in (path, path / NESTED, path / NESTED_BUDGETS):
        if (folder / RUN_JSON).is_file():
            return folder
    if path.is_file():
        where = f"Give its folder, {path.parent}" if path.name == RUN_JSON else "Give a folder that `aurac score` wrote"
        raise MissingRecordError(f"{path} is a file, no folder of a run record. {where}.")
    if path.exists():
        raise MissingRecordError(f"{path} holds no run record ({RUN_JSON}). {_below(path)}")
    near = get_close_matches(path.name, [other.name for other in _records_in(path.parent)], n=1)
    hint = f" Did you mean {path.parent / near[0]}?" if near else ""
    raise MissingRecordError(f"no such folder: {path}.{hint} Give a folder that `aurac score` wrote.")


def _below(folder: Path) -> str:
    """Say what to give instead of a folder without a record: one of those in it that have one."""
    names = sorted(path.name for path in _records_in(folder))
    if not names:
        return "Give a folder that `aurac score` wrote."
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else "")
    return f"The folders in it do: {shown}. Give one, such as {folder / names[0]}."


def preferred(path: str, *, budgets: bool) -> str:
    """Return the record over budgets of a scored adapter that has both, where that is preferred; else the path."""
    inside = Path(path) / NESTED_BUDGETS
    return str(inside) if budgets and (inside / RUN_JSON).is_file() else path


def _records_in(folder: Path) -> list[Path]:
    """Return the folders in a folder that hold a run record."""
    found = folder.iterdir() if folder.is_dir() else ()
    return [
        path
        for path in found
        if any((place / RUN_JSON).is_file() for place in (path, path / NESTED, path / NESTED_BUDGETS))
    ]


def read_run_json(folder: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        DamagedRunJsonError: If it is damaged.
        RecordError: If it is something else, or of another schema version.
    """
    file = folder / RUN_JSON
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise DamagedRunJsonError(
            f"{file} is damaged, not JSON: {exc}. The same `aurac score` sets it aside and restores what it can."
        ) from exc
    version = run.get("schema_version") if isinstance(run, dict) else None
    if type(version) is not int:  # true is an int
        raise RecordError(f"{file} is no run record: it has no schema_version. Give a folder that `aurac score` wrote.")
    if version not in VERSIONS:
        remedy = "Upgrade aurac" if version > max(VERSIONS) else "Score again"
        known = " and ".join(map(str, VERSIONS))
        raise RecordError(f"{file} has schema version {version}, this aurac reads {known}. {remedy}.")
    if wrong := wrong_parts(run):
        raise DamagedRunJsonError(f"{file} is damaged: {', '.join(wrong)} missing or of the wrong kind. Score again.")
    return dict(run)


def wrong_parts(run: Mapping[str, Any]) -> list[str]:
    """Return the names of the parts of a record that are missing or of the wrong kind."""
    parts = {"identity": dict, "asked": dict, "tasks": dict, "groups": dict, "cells": list}
    wrong = [name for name, kind in parts.items() if not isinstance(run.get(name), kind)]
    wrong += ["parts"] if not isinstance(run.get("parts", {}), dict) else []
    inner = {"identity": ("adapter", "base"), "asked": None, "tasks": None, "groups": None}
    for part, names in inner.items():
        content = {} if part in wrong else run[part]
        entries = content if names is None else [name for name in names if name in content]
        wrong += [f"{part}.{name}" for name in entries if not isinstance(content[name], dict)]
    return wrong


def write_run_json(folder: Path, run: Mapping[str, Any]) -> None:
    """Replace `run.json`; numbers that are not finite become null, since JSON has none."""
    text = json.dumps(plain(run), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    # A folder's name that is no UTF-8 reaches Python as halves of characters; as escapes they are JSON.
    write_atomically(folder / RUN_JSON, lambda path: path.write_bytes(text.encode("utf-8", "backslashreplace")))


def plain(value: Any) -> Any:
    """Return the value as JSON holds it: dictionaries, lists, strings, finite numbers, null.

    Example:
        >>> plain({"ranks": (1, 2), "ppl": float("inf")})
        {'ranks': [1, 2], 'ppl': None}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
