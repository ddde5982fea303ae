"""Aligned columns for a terminal; bold only where colour is wanted."""

from __future__ import annotations

import os
import re
import sys
import unicodedata

from aurac.report.table import Cell, Table


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
    grid = [[Cell(c) for c in table.columns], *[list(row) for row in table.rows]]
    widths = [max(_width(_text(row[i])) for row in grid) for i in range(len(table.columns))]
    lines = [_clean(table.title), ""] if table.title else []
    for number, row in enumerate(grid):
        padded = []
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(_text(cell)))
            text = f"\033[1m{_text(cell)}\033[0m" if bold and cell.bold else _text(cell)
            padded.append(text + space if i == 0 else space + text)
        lines.append("  ".join(padded).rstrip())
        if number == 0:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines + [""] * bool(table.notes) + [_clean(n) for n in table.notes]) + "\n"
