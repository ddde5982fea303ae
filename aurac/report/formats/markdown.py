"""GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from aurac.report.base import Report
from aurac.report.table import Table, TableCell, address, printable


def escape(text: str) -> str:
    r"""Make text harmless inside a table cell: no markup, no HTML, no column or line breaks.

    Example:
        >>> escape("a_b<c>&|")
        'a\\_b&lt;c&gt;&amp;\\|'
    """
    text = " ".join(printable(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", text)


def _cell(cell: TableCell, folder: Path | None) -> str:
    text = escape(cell.text)
    if folder is not None and cell.link is not None:
        text = f"[{text}]({address(cell.link, folder).replace('(', '%28').replace(')', '%29')})"
    if cell.bold:
        text = f"**{text}**"
    return text + (f"<sup>{escape(cell.superscript)}</sup>" if cell.superscript else "")


def render(report: Report) -> str:
    """Render the tables of a report, one after the other."""
    return "\n".join(map(render_table, report.tables()))


def render_table(table: Table, *, folder: Path | None = None) -> str:
    """Render title, table, and notes; signatures stay copyable because notes are code spans where they hold a `|`.

    Args:
        table: What to render.
        folder: Of the page, which links are relative to; without it there are none.
    """
    lines = [f"**{escape(table.title)}**", ""] if table.title else []
    lines.append("| " + " | ".join(map(escape, table.columns)) + " |")
    lines.append("|" + "|".join([" :-- "] + [" --: "] * (len(table.columns) - 1)) + "|")
    lines += ["| " + " | ".join(_cell(cell, folder) for cell in row) + " |" for row in table.rows]
    for note in table.notes:
        lines += ["", f"`{printable(note).replace('`', chr(39))}`" if note.startswith("AURAC|") else escape(note)]
    return "\n".join(lines) + "\n"
