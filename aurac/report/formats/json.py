"""JSON: everything that a report knows, the same on every machine."""

from __future__ import annotations

import json
from typing import Any

from aurac.report.base import Report
from aurac.report.numbers import rounded
from aurac.report.table import escaped


def render(report: Report) -> str:
    """Return the content of a report."""
    return json_text(report.content())


def json_text(content: Any) -> str:
    """Return indented JSON with a line feed at its end; NaN and infinity, which JSON does not have, are an error."""
    return escaped(json.dumps(rounded(content), indent=2, allow_nan=False, ensure_ascii=False)) + "\n"
