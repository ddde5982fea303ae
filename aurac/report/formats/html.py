"""An HTML fragment: a `table` element with its notes as `figcaption`."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

from aurac.report.base import Report
from aurac.report.table import Table, TableCell, address, printable, unbroken

LONG = 30
"""Characters of a name that a table of a page has room for beside its numbers."""


def escape(text: str) -> str:
    """Make text harmless in HTML, in attributes too; no line is broken between a number and its % or ±.

    Example:
        >>> escape('<b>&"')
        '&lt;b&gt;&amp;&quot;'
    """
    return html.escape(unbroken(printable(text)))


def _cell(
    cell: TableCell,
    *,
    tag: str,
    key: str = "",
    words: Callable[[str], str] = escape,
    folder: Path | None = None,
) -> str:
    text = words(cell.text)
    if folder is not None and cell.link is not None:
        text = f'<a href="{escape(address(cell.link, folder))}">{text}</a>'
    if cell.bold:
        text = f"<strong>{text}</strong>"
    return f"<{tag}{key}>{text}{f'<sup>{escape(cell.superscript)}</sup>' if cell.superscript else ''}</{tag}>"


def render(report: Report) -> str:
    """Render the tables of a report, one after the other."""
    return "\n".join(map(render_table, report.tables()))


def _key(cell: TableCell) -> str:
    """Return what a column is sorted by: the first number of the cell; cells without one come last.

    Example:
        >>> _key(TableCell("−1.50 ± 0.20"))
        ' data-sort="-1.5"'
    """
    found = re.search(r"[-−+]?\d*\.?\d+", cell.text)
    return f' data-sort="{float(found[0].replace("−", "-")):g}"' if found else ' data-sort=""'


def _name(cell: TableCell, folder: Path | None) -> str:
    """Return the first cell of a row on a page; the style sheet folds long names on a wide screen too."""
    long = ' class="long"' if len(cell.text) > LONG else ""
    return _cell(cell, tag="th", key=long, words=_foldable, folder=folder)


def _foldable(text: str) -> str:
    """Return a name that may take several lines: it is broken behind a slash or an underscore.

    Example:
        >>> _foldable("wins/ties")
        'wins/<wbr>ties'
    """
    return re.sub("(?<=[/_])", "<wbr>", escape(text))


def render_table(table: Table, *, sortable: bool = False, folder: Path | None = None) -> str:
    """Render a `figure` that holds the table and its notes.

    Args:
        table: What to render.
        sortable: Whether the page around it brings the script that sorts by a column (sortable-tablesort).
        folder: Of the page, which links are relative to; without it there are none.
    """
    scope = ' scope="col"' if sortable else ""
    head = "".join(f"<th{scope}>{_foldable(c) if sortable else escape(c)}</th>" for c in table.columns)
    lines = ['<figure class="table">', '<div class="scroll">', '<table class="sortable asc n-last">']
    if not sortable:
        lines = ["<figure>", "<table>"]
    if table.title:
        lines.append(f"<caption>{escape(table.title)}</caption>")
    lines += [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for first, *others in table.rows:
        cells = "".join(_cell(c, tag="td", key=_key(c) if sortable else "") for c in others)
        lines.append(f"<tr>{_name(first, folder) if sortable else _cell(first, tag='th')}{cells}</tr>")
    lines += ["</tbody>", "</table>", *(["</div>"] if sortable else [])]
    notes = [f"<figcaption>{escape(note)}</figcaption>" for note in table.notes]
    if sortable and notes:
        signed = any(note.startswith("AURAC|") for note in table.notes)
        what = "How to read this table, and its signatures" if signed else "How to read this table"
        notes = ["<details>", f"<summary>{what}</summary>", *notes, "</details>"]
    lines += notes
    return "\n".join([*lines, "</figure>"]) + "\n"
