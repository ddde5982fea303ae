"""Records as CSV that a spreadsheet opens without surprises; the same on every machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from aurac.report.base import Report
from aurac.report.numbers import rounded
from aurac.report.table import printable

# The wide forms are read like the plain ones by spreadsheets in East Asian languages.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def render(report: Report) -> str:
    """Return the records of a report."""
    return csv_text(report.records())


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Return one line a record under the union of their keys; None is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe.

    Example:
        >>> csv_text([{"run": "=1+1", "p": None}])
        "run,p\n'=1+1,\n"
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_no_formula, columns))
    writer.writerows([_no_formula(rounded(row.get(column))) for column in columns] for row in rows)
    return out.getvalue()


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = printable(value)
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value
