"""Aligned columns for a terminal; bold only where colour is wanted; notes wrapped, signatures whole for copying."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import unicodedata

from aurac.report.table import Cell, Table

COLUMNS = 120
"""Width that notes are wrapped at."""


def _clean(text: str) -> str:
    """Drop control characters, so that a name from a file cannot move the cursor or change colours."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _text(cell: Cell) -> str:
    return _clean(cell.text + cell.superscript)


def colour_wanted() -> bool:
    """Tell whether standard output is a terminal and `NO_COLOR` is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def render(table: Table, *, bold: bool | None = None) -> str:
    """Render title, aligned table, and notes.

    Args:
        table: What to print.
        bold: Whether best cells are bold; by default only on a terminal without `NO_COLOR`.
    """
    bold = colour_wanted() if bold is None else bold
    body = [list(row) for row in table.rows]
    cells = [max((_width(_text(row[i])) for row in body), default=0) for i in range(len(table.columns))]
    headings = [_heading(column, width) for column, width in zip(table.columns, cells, strict=True)]
    widths = [max(width, *map(_width, lines)) for width, lines in zip(cells, headings, strict=True)]
    height = max(map(len, headings))
    head = [[Cell(text) for text in line] for line in zip(*(_pad(lines, height) for lines in headings), strict=True)]
    lines = [_clean(table.title), ""] if table.title else []
    lines += [_line(row, widths, bold) for row in head]
    lines.append("  ".join("─" * width for width in widths))
    lines += [_line(row, widths, bold) for row in body]
    return "\n".join(lines + [""] * bool(table.notes) + [_note(note) for note in table.notes]) + "\n"


def _heading(text: str, width: int) -> list[str]:
    """Break a heading at its spaces where it is clearly wider than its cells."""
    text = _clean(text)
    if _width(text) <= width + 3:
        return [text]
    return textwrap.wrap(text, max(width, 8), break_long_words=False, break_on_hyphens=False) or [""]


def _pad(lines: list[str], height: int) -> list[str]:
    return [""] * (height - len(lines)) + lines


def _line(row: list[Cell], widths: list[int], bold: bool) -> str:
    padded = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        space = " " * (width - _width(_text(cell)))
        text = f"\033[1m{_text(cell)}\033[0m" if bold and cell.bold else _text(cell)
        padded.append(text + space if i == 0 else space + text)
    return "  ".join(padded).rstrip()


def _note(text: str) -> str:
    """Wrap a note; a signature stays on one line, where it can be copied."""
    if text.startswith("AURAC|"):
        return _clean(text)
    return textwrap.fill(_clean(text), COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
