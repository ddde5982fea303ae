"""Text formats of a table: one file each, `render(table) -> str`."""

from __future__ import annotations

from aurac.registry import Registry

FORMATS = Registry(
    "table format",
    {
        "terminal": "aurac.report.formats.terminal:render",
        "markdown": "aurac.report.formats.markdown:render",
        "latex": "aurac.report.formats.latex:render",
        "html": "aurac.report.formats.html:render",
    },
)
