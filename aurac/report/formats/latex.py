"""LaTeX with booktabs: paste it into a paper that uses the package of that name."""

from __future__ import annotations

from aurac.report.base import Report
from aurac.report.table import Table, TableCell, printable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
}


def escape(text: str) -> str:
    r"""Make text harmless in LaTeX.

    Example:
        >>> escape("a_b<c>&")
        'a\\_b\\textless{}c\\textgreater{}\\&'
    """
    return "".join(_SPECIAL.get(c, c) for c in " ".join(printable(text).split()))


def _cell(cell: TableCell, marks: int) -> str:
    """Return the cell; in a column with raised marks those that it lacks take their room, so that numbers align."""
    text = escape(cell.text)
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    missing = marks - len(cell.superscript)
    raised = escape(cell.superscript) + (rf"\phantom{{{'a' * missing}}}" if missing else "")
    return text + (rf"\textsuperscript{{{raised}}}" if raised else "")


def render(report: Report) -> str:
    """Render the tables of a report, one after the other."""
    return "\n".join(map(render_table, report.tables()))


def render_table(table: Table) -> str:
    """Render a `table` environment with caption and the notes in footnote size under it."""
    lines = [r"\begin{table}", r"\centering"]
    if table.title:
        lines.append(rf"\caption{{{escape(table.title)}}}")
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule"]
    lines += [" & ".join(map(escape, table.columns)) + r" \\", r"\midrule"]
    marks = [max((len(row[i].superscript) for row in table.rows), default=0) for i in range(len(table.columns))]
    lines += [" & ".join(map(_cell, row, marks)) + r" \\" for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    for note in table.notes:
        lines += ["", rf"{{\footnotesize {escape(note)}\par}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"
