"""Tables with tabs between the cells."""

from __future__ import annotations

from aurac.report.base import Report


def render(report: Report) -> str:
    """Return title row and rows of every table."""
    lines = []
    for table in report.tables():
        lines.append("\t".join(table.columns))
        lines += ["\t".join(cell.text for cell in row) for row in table.rows]
    return "\n".join(lines) + "\n"
