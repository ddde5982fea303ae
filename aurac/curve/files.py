"""Curves in small files, as people type or export them: CSV with a header, or JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError

_RANK = re.compile(r"\s*-?\d{1,18}\s*")
_COLUMNS = {"acc": "accuracy", "r": "rank"}
"""Other headings that say the same; capitals do not matter."""
Chosen = Mapping[str, Any]
"""Kind -> name, of those in `_CHOSEN`; None where nothing was said."""
_CHOSEN = ("task", "metric")
"""Columns that say which curve a row belongs to."""
_READ = "CSV with the header rank,accuracy (optionally task and metric), or JSON"


def read_curve(
    path: str | PathLike[str],
    *,
    task: str | None = None,
    metric: str | None = None,
    scale: str = "fraction",
    duplicates: str = "error",
) -> RankAccuracyCurve:
    """Read one curve from a .csv or .json file.

    Args:
        path: CSV with the columns rank and accuracy, and task or metric if it holds several curves; other columns are
            not read. Or JSON: `{"1": 0.41, "2": 0.44}` or `{"ranks": [1, 2], "accuracies": [0.41, 0.44]}`.
        task: Which task of a CSV file with a task column; needed when it holds more than one.
        metric: Which metric of a CSV file with a metric column, likewise.
        scale: "fraction" or "percent".
        duplicates: "error" or "mean".

    Raises:
        CurveError: If the file is missing or is no curve; a bad row of a CSV file is named by its line number.
    """
    file = Path(path)
    readers = {".csv": _read_csv, ".json": _read_json}
    if file.suffix.lower() not in readers:
        raise CurveError(f"{file} is not a curve file. Allowed: {_READ}.")
    if not file.is_file():
        raise CurveError(f"there is no file {file}.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise CurveError(f"{file} is not UTF-8 text. Allowed: {_READ}.") from exc
    named, ranks, accuracies = readers[file.suffix.lower()](file, text, {"task": task, "metric": metric})
    try:
        return RankAccuracyCurve(ranks, accuracies, scale=scale, duplicates=duplicates, name=file.stem, **named)
    except CurveError as exc:
        raise CurveError(f"{file}: {exc}") from exc


def only_one(names: Iterable[str], name: str | None, where: str, kind: str = "task") -> str:
    """Return `name`, or the only one there is; `CurveError` listing them when there is a choice to make."""
    known = list(dict.fromkeys(names))
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        problem = f"has {len(known)} {kind}s" if name is None else f"has no {kind} {name!r}"
        raise CurveError(f"{where} {problem}. Choose one: {', '.join(known)}; say {kind}={known[0]!r}.")
    return name


def _read_csv(file: Path, text: str, chosen: Chosen) -> tuple[Chosen, list[int], list[float]]:
    if not text.strip():
        raise CurveError(f"{file} is empty. Needed: {_READ}.")
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True, delimiter=_delimiter(text))
    columns = [_COLUMNS.get(plain := (name or "").strip().lower(), plain) for name in rows.fieldnames or ()]
    if not {"rank", "accuracy"} <= set(columns):
        raise CurveError(f"{file}, line 1: the header is {text.splitlines()[0]!r}. Needed: rank,accuracy.")
    if twice := [name for name in ("rank", "accuracy", *_CHOSEN) if columns.count(name) > 1]:
        raise CurveError(f"{file}, line 1: the column {twice[0]} occurs twice. Keep one of them.")
    rows.fieldnames = columns
    try:
        table = [(rows.line_num, row) for row in rows]
    except csv.Error as exc:
        raise CurveError(f"{file}, line {rows.line_num + 1}: no CSV ({exc}). Correct the line.") from exc
    for line, row in table:
        _check_fields(file, line, row, columns)
    named: dict[str, Any] = {}
    for kind in _CHOSEN:
        if kind not in columns:
            _check_not_chosen(file, kind, chosen[kind])
        else:
            name = named[kind] = only_one((row[kind] for _, row in table), chosen[kind], str(file), kind)
            table = [(line, row) for line, row in table if row[kind] == name]
    points = [_point(file, line, row) for line, row in table]
    if not points:
        raise CurveError(f"{file} has a header but no rows. Add one row a rank.")
    return named, [rank for rank, _ in points], [accuracy for _, accuracy in points]


def _delimiter(text: str) -> str:
    """Return what separates the fields: what stands in the header, a comma where several could."""
    header = text.partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _check_fields(file: Path, line: int, row: Mapping[Any, Any], columns: Sequence[str]) -> None:
    """Refuse a line of another length than the header: in `1,0,5`, with a decimal comma, the accuracy would be 0."""
    if any(field.strip() for field in row.get(None, ())):
        raise CurveError(
            f"{file}, line {line}: more fields than the {len(columns)} of the header. Write decimal points, and one "
            "field a column."
        )
    if missing := [kind for kind in _CHOSEN if kind in columns and row[kind] is None]:
        raise CurveError(f"{file}, line {line}: the {missing[0]} is missing. Give one in every row.")


def _point(file: Path, line: int, row: Mapping[str, Any]) -> tuple[int, float]:
    try:
        rank = float(row["rank"])
        if rank != int(rank):
            raise ValueError
        return int(rank), float(row["accuracy"])
    except (TypeError, ValueError, OverflowError) as exc:
        raise CurveError(
            f"{file}, line {line}: rank {row['rank']!r} and accuracy {row['accuracy']!r} are not a whole number and a "
            "number. Write them like 4 and 0.47 (or 47 with scale='percent'), and leave out ranks that were not "
            "measured."
        ) from exc


def _read_json(file: Path, text: str, chosen: Chosen) -> tuple[Chosen, Any, Any]:
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as exc:
        raise CurveError(f"{file}, line {exc.lineno}: not JSON ({exc.msg}).") from exc
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits, lists thousands deep
        if isinstance(exc, CurveError):
            raise CurveError(f"{file}: {exc}") from exc
        raise CurveError(f"{file} cannot be read as JSON: {exc}. Give a curve of ranks and accuracies.") from exc
    if _holds_booleans(data):
        raise CurveError(f"{file} holds true or false where a number is needed. Give ranks and accuracies as numbers.")
    if isinstance(data, dict) and {"ranks", "accuracies"} <= set(data):
        named = {kind: data.get(kind) for kind in _CHOSEN}
        for kind, name in named.items():
            if name is not None and not isinstance(name, str):
                raise CurveError(f"{file} has the {kind} {name!r:.60}; a text is needed. Correct it, or leave it out.")
            if chosen[kind] is not None and name != chosen[kind]:
                raise CurveError(f"{file} has the {kind} {name!r}, not {chosen[kind]!r}. Give that, or no {kind}.")
        return named, data["ranks"], data["accuracies"]
    if isinstance(data, dict) and data and all(map(_RANK.fullmatch, data)):
        for kind, name in chosen.items():
            _check_not_chosen(file, kind, name)
        return {}, [int(key) for key in data], list(data.values())
    raise CurveError(
        f'{file} holds no curve. Needed: {{"1": 0.41, "2": 0.44}} or {{"ranks": [1, 2], "accuracies": [0.41, 0.44]}}.'
    )


def _check_not_chosen(file: Path, kind: str, name: str | None) -> None:
    if name is not None:
        raise CurveError(f"{file} does not say which {kind} it is, so {name!r} cannot be chosen. Leave the {kind} out.")


def _holds_booleans(data: Any) -> bool:
    """Find true and false among the values; Python counts them as 1 and 0."""
    values = data.values() if isinstance(data, dict) else ()
    return any(isinstance(v, bool) for value in values for v in (value if isinstance(value, list) else [value]))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what `json` would do with a repeated key, which is to keep the last."""
    if len(dict(pairs)) < len(pairs):
        keys = [key for key, _ in pairs]
        raise CurveError(
            f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice. Give each rank once."
        )
    return dict(pairs)
