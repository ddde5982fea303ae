"""A table as every text format prints it: cells with their emphasis, and the lines that belong under it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that turn the direction of what follows."""
_HALVES = re.compile("[\ud800-\udfff]")
"""Halves of characters: what Python makes of a folder's name that is no UTF-8."""


def printable(text: str) -> str:
    r"""Return the text without what would move a cursor, reorder a line, or could not be written as UTF-8.

    Example:
        >>> printable("a\x1b[31m")
        'a [31m'
    """
    return _HALVES.sub("\ufffd", _UNSEEN.sub(" ", text))


def unbroken(text: str) -> str:
    r"""Return the text without breakable spaces before % and around ±, so that a number keeps what belongs to it.

    Example:
        >>> unbroken("at the 5 % level: 95.8 ± 1.6").split(" ")
        ['at', 'the', '5\xa0%', 'level:', '95.8\xa0±\xa01.6']
    """
    return re.sub(r"(?<=\d) (?=[%±])|(?<=±) ", "\N{NO-BREAK SPACE}", text)


def escaped(text: str) -> str:
    r"""Return JSON with the same characters written as \uXXXX, which reads as what it was.

    Example:
        >>> escaped('{"run": "\u202egnp.exe"}')
        '{"run": "\\u202egnp.exe"}'
    """
    return re.sub(rf"(?!\n)(?:{_UNSEEN.pattern}|{_HALVES.pattern})", lambda found: f"\\u{ord(found[0]):04x}", text)


def address(link: Path, folder: Path) -> str:
    """Return the relative address of a file for a page in `folder`, so that both can be moved together.

    Example:
        >>> address(Path("results/a b/run.json"), Path("results/pages"))
        '../a%20b/run.json'
    """
    return quote(Path(os.path.relpath(link, folder)).as_posix(), errors="surrogateescape")


@dataclass(frozen=True)
class TableCell:
    """One cell.

    Attributes:
        text: What is printed, not yet escaped for any format.
        bold: Whether it is among the best of its column; ties are all bold.
        superscript: Marks printed behind the text ("*", "ab").
        link: File that a page leads to from here; other formats leave it out.
    """

    text: str
    bold: bool = False
    superscript: str = ""
    link: Path | None = None


@dataclass(frozen=True)
class Table:
    """Columns, rows of as many cells, and the notes and signature lines that belong under the table.

    Attributes:
        title: Caption, one line.
        columns: Headings; the first column is text and aligned left, the others are numbers.
        rows: One tuple of cells a row.
        notes: Lines printed under the table, the signatures last.
        least: Columns that a narrow terminal leaves out first, in this order; the others follow from the right.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    notes: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
