"""The page of a comparison, in parts that the leaderboard has too: curves to explore, tables that lead to records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from aurac.analysis.compared import ComparedRuns
from aurac.analysis.macro_curve import with_macro
from aurac.report.base import Report
from aurac.report.comparison import Comparison
from aurac.report.pages.explorer import explorer_data
from aurac.report.pages.page import Block, Explorer, Folded, Heading, Paragraph, Picture, page_text
from aurac.report.plots import style
from aurac.report.plots.curves import figure_curves
from aurac.report.plots.places import plot_critical_difference
from aurac.report.table import Table, TableCell
from aurac.report.tables.verdict import verdict
from aurac.results import Run
from aurac.results.files import RUN_JSON


def printed(report: Report, output: str, title: str) -> str:
    """Return a report as commands print it: HTML as a whole page in the style of the leaderboard, else as rendered.

    Args:
        report: What to print.
        output: A name in `aurac.report.formats.FORMATS`.
        title: Of the page.
    """
    if output != "html":
        return report.render(output)
    if isinstance(report, Comparison):
        return page_text([Heading(title, level=1), *_comparison(report)])
    return one_page([report], title)


def one_page(reports: Sequence[Report], title: str) -> str:
    """Return the tables of several reports as one HTML page."""
    return page_text([Heading(title, level=1), *(table for report in reports for table in report.tables())])


def _comparison(comparison: Comparison) -> Iterator[Block]:
    yield Paragraph(verdict(comparison), verdict=True)
    yield curves("comparison", comparison)
    first, *others = comparison.tables()
    yield first
    details: tuple[Block, ...] = (*others, *places("comparison", comparison))
    if details:
        yield Folded(DETAILS, details)


DETAILS = "Tests, and the score at each rank"
"""What is folded below a leaderboard."""


def curves(name: str, comparison: ComparedRuns) -> Explorer:
    """Return the curves of a comparison under this name, a still picture where no scripts run."""
    settings, (runs, tasks) = comparison.settings, with_macro(comparison)
    still = Picture(
        f"{_slug(name)}-curves.png",
        f"Rank-accuracy curves of {name}",
        lambda path: style.write(
            lambda: figure_curves(
                runs,
                tasks=tasks,
                axis=settings.axis,
                confidence_level=settings.confidence_level,
                comparison=comparison,
            ),
            path,
        ),
    )
    return Explorer(still, lambda: explorer_data(comparison))


def places(name: str, comparison: ComparedRuns) -> Iterator[Picture]:
    """Yield the diagram of places where runs were tested."""
    if comparison.headline in comparison.pairs:
        yield Picture(
            f"{_slug(name)}-places.png",
            f"Critical-difference diagram of {name}",
            lambda path: style.write(lambda: plot_critical_difference(comparison).get_figure(), path),
        )


def linked(table: Table, runs: Sequence[Run]) -> Table:
    """Let the first cell of each row lead to the record of its run; a method of several seeds has no single one."""
    links = {run.name: run.path / RUN_JSON for run in runs if run.path is not None}

    def linked(cell: TableCell) -> TableCell:
        marked = re.sub(r" \([a-z]+\)$", "", cell.text)  # the letter of a row, which others refer to
        return replace(cell, link=links.get(cell.text, links.get(marked)))

    return replace(table, rows=tuple((linked(first), *rest) for first, *rest in table.rows))


def _slug(name: str) -> str:
    """Return a name for files; other names than plain ones get a hash, so that no two suites share a file.

    Example:
        >>> _slug("demo"), _slug("A/b (2)")
        ('demo', 'a-b-2-5cf8cb')
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return slug if slug == name else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".strip("-")
