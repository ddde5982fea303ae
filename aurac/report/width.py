"""How wide output may be, and text that is folded to that width."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap

from aurac.report.table import unbroken

FILE_WIDTH = 120
"""Notes in files and pipes are folded at this width; tables are as wide as they are."""
_NARROWEST = 40


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is, or what `COLUMNS` says; None for files and pipes."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return max(shutil.get_terminal_size().columns, _NARROWEST)
    return None


def fold(line: str, width: int | None) -> str:
    """Fold one line of text; a signature is folded between its parts, so that pasting it back is understood.

    Args:
        line: Text without line breaks.
        width: In columns; None for files, where a signature stays whole and text is folded at `FILE_WIDTH`.

    Example:
        >>> print(fold("AURAC|axis:log2|rule:trap|ranks:1-2", 20))
        AURAC|axis:log2|
          rule:trap|
          ranks:1-2
    """
    if not line.startswith(("AURAC|", "A|")):
        kept = unbroken(line)
        folded = textwrap.fill(
            kept, width or FILE_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        return folded.replace("\N{NO-BREAK SPACE}", " ")
    if width is None:
        return line
    lines = [""]
    for part in re.findall(r"[^|]*(?: \|\| |\||$)", line):
        if lines[-1].strip() and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("  ")
        lines[-1] += part
    return "\n".join(one.rstrip() for one in lines)


def fold_text(text: str) -> str:
    """Fold the lines of a text that are wider than the terminal; other lines, and files, stay as they are."""
    width = terminal_width()
    if width is None:
        return text
    return "".join(
        line if len(line.rstrip("\n")) <= width else _fold_indented(line.rstrip("\n"), width) + "\n"
        for line in text.splitlines(keepends=True)
    )


def _fold_indented(line: str, width: int) -> str:
    text = line.lstrip()
    indent = line[: len(line) - len(text)]
    return textwrap.indent(fold(text, width - len(indent)), indent)
