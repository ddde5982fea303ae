"""Records as CSV that a spreadsheet opens without surprises, and as JSON; the same on every machine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aurac.report.table import printable

DIGITS = 12
"""Significant digits of a number: all that can be meant, and none of those in which processors differ."""

# The wide forms are read like the plain ones by spreadsheets in East Asian languages.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Return one line a record under the union of their keys; None is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe.

    Example:
        >>> csv_text([{"run": "=1+1", "p": None}])
        "run,p\n'=1+1,\n"
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _no_formula(rounded(value)) for key, value in row.items()} for row in rows)
    return out.getvalue()


def json_text(content: Any) -> str:
    """Return indented JSON with a line feed at its end; NaN and infinity, which JSON does not have, are an error."""
    return json.dumps(rounded(content), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def rounded(content: Any) -> Any:
    """Return the content with its floating-point numbers rounded to `DIGITS` significant digits.

    Example:
        >>> rounded({"aurac": 0.7249999999999999, "ranks": [1, 2]})
        {'aurac': 0.725, 'ranks': [1, 2]}
    """
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}")
    if isinstance(content, Mapping):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [rounded(value) for value in content]
    return content


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = printable(value)
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value
