"""Curves from CSV and JSON files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from aurac.curve import RankAccuracyCurve
from aurac.errors import CurveError


def read_curve(path: Path, **options: Any) -> RankAccuracyCurve:
    """Read a curve file.

    Args:
        path: A CSV file with a header that names the columns rank and accuracy, or a JSON file with
            `{"1": 0.41, "2": 0.44}` or `{"ranks": [1, 2], "accuracies": [0.41, 0.44]}`.
        options: Passed on to `RankAccuracyCurve` (scale, duplicates).

    Raises:
        CurveError: If the file holds no curve; the message names the file and, for a bad row, its line.
    """
    readers = {".csv": _csv, ".json": _json}
    if path.suffix.lower() not in readers:
        raise CurveError(f"cannot tell what {path} is. Curve files end in .csv or .json.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise CurveError(f"{path} is not UTF-8 text. Save it as UTF-8.") from exc
    try:
        ranks, accuracies = readers[path.suffix.lower()](text)
        return RankAccuracyCurve(ranks, accuracies, **options)
    except CurveError as exc:
        raise CurveError(f"{path}: {exc}") from exc


def _csv(text: str) -> tuple[list[float], list[float]]:
    rows = csv.DictReader(text.splitlines())
    names = [name.strip() for name in rows.fieldnames or ()]
    if not {"rank", "accuracy"} <= set(names):
        raise CurveError(f"the header needs the columns rank and accuracy; it has {', '.join(names) or 'none'}.")
    rows.fieldnames = names
    points = [(_number(row["rank"], rows.line_num), _number(row["accuracy"], rows.line_num)) for row in rows]
    if not points:
        raise CurveError("no rows under the header. Give one row a rank.")
    return [rank for rank, _ in points], [accuracy for _, accuracy in points]


def _number(text: str | None, line: int) -> float:
    try:
        return float(text or "")
    except ValueError as exc:
        raise CurveError(f"line {line} holds {text!r} where a number belongs.") from exc


def _json(text: str) -> tuple[list[Any], list[Any]]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as exc:
        raise CurveError(f"not JSON ({exc}).") from exc
    if isinstance(content, dict) and {"ranks", "accuracies"} <= set(content):
        return content["ranks"], content["accuracies"]
    try:
        return [float(rank) for rank in content], [float(accuracy) for accuracy in content.values()]
    except (TypeError, ValueError, AttributeError) as exc:
        raise CurveError('expected {"1": 0.41, "2": 0.44} or {"ranks": [...], "accuracies": [...]}.') from exc
