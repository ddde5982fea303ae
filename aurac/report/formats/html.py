"""An HTML fragment: a `table` element with its notes as `figcaption`."""

from __future__ import annotations

import html

from aurac.report.base import Report
from aurac.report.table import Cell, Table, printable


def escape(text: str) -> str:
    """Make text harmless in HTML, in attributes too.

    Example:
        >>> escape('<b>&"')
        '&lt;b&gt;&amp;&quot;'
    """
    return html.escape(printable(text))


def _cell(cell: Cell, *, tag: str) -> str:
    text = escape(cell.text)
    if cell.bold:
        text = f"<strong>{text}</strong>"
    return f"<{tag}>{text}{f'<sup>{escape(cell.superscript)}</sup>' if cell.superscript else ''}</{tag}>"


def render(report: Report) -> str:
    """Render the tables of a report, one after the other."""
    return "\n".join(map(render_table, report.tables()))


def render_table(table: Table) -> str:
    """Render a `figure` that holds the table and its notes."""
    head = "".join(f"<th>{escape(c)}</th>" for c in table.columns)
    lines = ["<figure>", "<table>"]
    if table.title:
        lines.append(f"<caption>{escape(table.title)}</caption>")
    lines += [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for first, *others in table.rows:
        lines.append(f"<tr>{_cell(first, tag='th')}{''.join(_cell(c, tag='td') for c in others)}</tr>")
    lines += ["</tbody>", "</table>"]
    lines += [f"<figcaption>{escape(note)}</figcaption>" for note in table.notes]
    return "\n".join([*lines, "</figure>"]) + "\n"
