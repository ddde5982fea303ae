"""Aligned columns for a terminal; bold only where colour is wanted; notes wrapped, signatures whole for copying."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import unicodedata
from dataclasses import replace

from aurac.report.base import Report
from aurac.report.table import Table, TableCell, printable
from aurac.report.width import fold, terminal_width

# Unicode has raised forms of these; others are printed as they are.
_RAISED = str.maketrans("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
_LEAST = 2
"""Columns that are never left out: what a row is, and one number."""


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _text(cell: TableCell) -> str:
    return printable(cell.text)


def _raised(cell: TableCell) -> str:
    return printable(cell.superscript).translate(_RAISED)


def colour_wanted() -> bool:
    """Tell whether standard output is a terminal and `NO_COLOR` is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def render(report: Report) -> str:
    """Render the tables of a report, one after the other."""
    return "\n".join(map(render_table, report.tables()))


def render_table(table: Table, *, bold: bool | None = None) -> str:
    """Render title, aligned table, and notes.

    On a terminal nothing is wider than it is: the columns that matter least are left out, and a note names them.

    Args:
        table: What to print.
        bold: Whether best cells are bold; by default only on a terminal without `NO_COLOR`.
    """
    bold = colour_wanted() if bold is None else bold
    width, columns = terminal_width(), table.columns
    lines = _aligned(table, bold)
    while width and len(table.columns) > _LEAST and max(map(_shown_width, lines)) > width:
        table = _narrower(table)
        lines = _aligned(table, bold)
    left_out = [column for column in columns if column not in table.columns]
    title = [fold(printable(table.title), width), ""] if table.title else []
    notes = [fold(printable(note), width) for note in (*_missing(left_out), *table.notes)]
    return "\n".join([*title, *lines, *[""] * bool(notes), *notes]) + "\n"


def _narrower(table: Table) -> Table:
    """Return the table without the column that matters least."""
    out = next((column for column in table.least if column in table.columns), table.columns[-1])
    kept = [i for i, column in enumerate(table.columns) if column != out]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)


def _missing(columns: list[str]) -> list[str]:
    if not columns:
        return []
    return [f"Left out for want of width: {', '.join(columns)}. A wider terminal or --format markdown shows them."]


def _aligned(table: Table, bold: bool) -> list[str]:
    """Return the lines of the headings, the rule below them, and the rows."""
    columns = range(len(table.columns))
    texts = [max((_width(_text(row[i])) for row in table.rows), default=0) for i in columns]
    raised = [max((_width(_raised(row[i])) for row in table.rows), default=0) for i in columns]
    headings = [_heading(table.columns[i], texts[i] + raised[i]) for i in columns]
    texts = [max(texts[i], *(_width(line) - raised[i] for line in headings[i])) for i in columns]
    height = max(map(len, headings))
    padded = [[""] * (height - len(lines)) + lines for lines in headings]
    lines = []
    for number in range(height):
        lines.append(_line([(column[number], "") for column in padded], _sums(texts, raised), [0] * len(raised)))
    lines.append("  ".join("─" * width for width in _sums(texts, raised)))
    for row in table.rows:
        lines.append(_line([(_text(c), _raised(c)) for c in row], texts, raised, [bold and c.bold for c in row]))
    return lines


def _shown_width(line: str) -> int:
    return _width(re.sub("\033\\[[0-9]*m", "", line))


def _sums(texts: list[int], raised: list[int]) -> list[int]:
    return [text + mark for text, mark in zip(texts, raised, strict=True)]


def _heading(text: str, width: int) -> list[str]:
    """Break a heading at its spaces where it is clearly wider than its cells."""
    text = printable(text)
    if _width(text) <= width + 3:
        return [text]
    return textwrap.wrap(text, max(width, 8), break_long_words=False, break_on_hyphens=False) or [""]


def _line(cells: list[tuple[str, str]], texts: list[int], raised: list[int], bold: list[bool] | None = None) -> str:
    """Align the first column left, the others right; raised marks stand in a column of their own behind the number."""
    padded = []
    for i, (text, mark) in enumerate(cells):
        before, after = " " * (texts[i] - _width(text)), " " * (raised[i] - _width(mark))
        text = f"\033[1m{text}\033[0m" if bold and bold[i] else text
        padded.append(f"{text}{mark}{before}{after}" if i == 0 else f"{before}{text}{mark}{after}")
    return "  ".join(padded).rstrip()
