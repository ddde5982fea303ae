"""Formats of a report: one file each, `render(report) -> str`."""

from __future__ import annotations

from aurac.registry import Registry

FORMATS = Registry(
    "table format",
    {
        "terminal": "aurac.report.formats.terminal:render",
        "markdown": "aurac.report.formats.markdown:render",
        "latex": "aurac.report.formats.latex:render",
        "html": "aurac.report.formats.html:render",
        "csv": "aurac.report.formats.csv:render",
        "json": "aurac.report.formats.json:render",
    },
    group="aurac.formats",
)
"""Name -> function from a `aurac.report.base.Report` to text."""
