"""A table as every text format prints it: cells with their emphasis, and the lines that belong under it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is printed, not yet escaped for any format.
        bold: Whether it is among the best of its column; ties are all bold.
        superscript: Marks printed behind the text ("*", "ab").
    """

    text: str
    bold: bool = False
    superscript: str = ""


@dataclass(frozen=True)
class Table:
    """Columns, rows of as many cells, and the notes and signature lines that belong under the table.

    Attributes:
        title: Caption, one line.
        columns: Headings; the first column is text and aligned left, the others are numbers.
        rows: One tuple of cells a row.
        notes: Lines printed under the table, the signatures last.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
