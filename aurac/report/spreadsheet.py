"""Records as CSV that a spreadsheet opens without surprises."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


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
    writer.writerows({key: _no_formula(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
