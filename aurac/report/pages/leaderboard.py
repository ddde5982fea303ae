"""The leaderboard page: for every suite the tables, which rank to deploy, where the numbers come from, and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aurac.analysis.collection import SuiteRuns
from aurac.analysis.compare import compare
from aurac.analysis.compared import ComparedRuns
from aurac.analysis.grouping import by_method, methods_target
from aurac.analysis.recommend import recommend
from aurac.errors import ComparisonError, CurveError, UnknownNameError
from aurac.report.numbers import MISSING
from aurac.report.pages.comparison import DETAILS, curves, linked, places
from aurac.report.pages.page import Block, Folded, Heading, Paragraph
from aurac.report.table import Table, TableCell
from aurac.report.tables.leaderboard import tables
from aurac.report.tables.table_cells import full_text, point_noun, point_text
from aurac.report.tables.verdict import verdict
from aurac.results import Run
from aurac.statistics.equivalence import check_margin


def leaderboard_page(
    suites: Sequence[SuiteRuns], *, baseline: str = "lora", margin: float = 0.01, **options: Any
) -> list[Block]:
    """Return the page as blocks for `aurac.report.pages.page.write_page`; the same records give the same page.

    Args:
        suites: From `aurac.analysis.collection.collect`.
        baseline: Name or method of the baseline where a suite has it once; otherwise its first run is the baseline.
        margin: Largest acceptable loss for the rank to deploy, a fraction, beside those in `MARGINS`.
        **options: As for `aurac.compare`: axis, rule, confidence_level.
    """
    check_margin(margin)
    blocks: list[Block] = [
        Heading("Leaderboard", level=1),
        Paragraph("Generated from run records by aurac report; a change here would be lost."),
    ]
    for suite in suites:
        blocks += _suite(suite, baseline, margin, options)
    return blocks


def check_baseline(suites: Sequence[SuiteRuns], baseline: str) -> None:
    """Raise `UnknownNameError` for a baseline that no suite has."""
    if not any(_baseline(suite.runs, baseline) for suite in suites):
        known = {name for suite in suites for run in suite.runs for name in (run.name, run.method)}
        raise UnknownNameError("baseline", baseline, known)


def _suite(suite: SuiteRuns, baseline: str, margin: float, options: dict[str, Any]) -> Iterator[Block]:
    yield Heading(suite.name)
    if suite.runs:
        comparison = compare(suite.runs, baseline=_baseline(suite.runs, baseline), **_rows(suite.runs), **options)
        yield Paragraph(verdict(comparison), verdict=True)
        yield Paragraph(_setting(suite.runs))
        yield curves(suite.name, comparison)
        first, *others = tables(comparison)
        yield linked(first, comparison.ordered())
        yield _deployment(comparison, margin)
        details: tuple[Block, ...] = (*others, *places(suite.name, comparison))
        if details:
            yield Folded(DETAILS, details)
    for run in suite.incomplete:
        problems = "; ".join(f"{task}: {problem}" for task, problem in run.problems.items())
        yield Paragraph(f"Not ranked: {run.name}, which lacks tasks. {problems}")
    yield Folded("Provenance", (_provenance((*suite.runs, *suite.incomplete)),))


def _baseline(runs: Sequence[Run], wanted: str) -> str | None:
    members = _methods(runs)
    if wanted in members:
        return wanted
    named = [name for name, group in members.items() if group[0].method == wanted]
    return named[0] if len(named) == 1 else None


def _rows(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the arguments of `compare` that make one row of a method where a suite has several seeds of it."""
    members = _methods(runs)
    if max(map(len, members.values())) == 1:
        return {}
    return {"by": "method", "target": methods_target(members)}


def _methods(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return name -> runs of a row; trainings that the records do not tell apart are ranked one by one."""
    try:
        members = by_method(runs)
    except ComparisonError:
        members = {}
    if not members or max(map(len, members.values())) == 1:
        return {run.name: [run] for run in runs}
    return members


def _setting(runs: Sequence[Run]) -> str:
    """Say which base model and how many documents: what all runs of a suite share."""
    identity = runs[0].record.get("identity", {})
    base = identity.get("base", {})
    parts = [f"Base model: {Path(str(base.get('name_or_path', 'unknown'))).name}"]
    parts += [f"{key} {str(base[key])[:12]}" for key in ("sha256", "revision") if base.get(key)]
    if identity.get("limit") is not None:
        parts.append(f"limited to {identity['limit']:g} documents of each task")
    return ", ".join(parts) + "."


MARGINS = (0.01, 0.02, 0.05)
"""Losses to full rank for which every leaderboard says which rank to deploy."""


def _deployment(comparison: ComparedRuns, margin: float) -> Table:
    margins = sorted({*MARGINS, margin})
    rows, notes = [], []
    for run in comparison.ordered():
        options: dict[str, Any] = {"alpha": comparison.settings.alpha, "tasks": comparison.tasks}
        try:
            made = [recommend(run, margin=each, **options) for each in margins]
        except CurveError as error:
            rows.append((TableCell(run.name), *[TableCell(MISSING)] * (len(margins) + 2)))
            notes.append(str(error))
            continue
        every = (
            " / ".join(point_text(comparison, one.every_task) for one in made) if len(comparison.tasks) > 1 else MISSING
        )
        ranks = [f"{point_text(comparison, one.rank)} ({100 * one.rank / one.max_rank:.3g} %)" for one in made]
        rows.append((TableCell(run.name), *map(TableCell, (*ranks, made[0].basis, every))))
    if any(run.seeds for run in comparison.runs):
        notes.append(
            "Methods with several training seeds: the rank to serve for the next training, with documents and seeds "
            "both random."
        )
    return Table(
        title=f"Smallest {point_noun(comparison)} that loses less than so many points to "
        f"{full_text(comparison)}, and its share of the parameters",
        columns=(
            "run",
            *(f"{100 * each:g} point{'s' * (each != 0.01)}" for each in margins),
            "tested on",
            "on every task",
        ),
        rows=tuple(rows),
        notes=(
            "Fixed-sequence non-inferiority by the score test, paired over documents: each "
            f"{point_noun(comparison)} is inadequate with a "
            f"probability of at most {comparison.settings.alpha:g}. Evidence: aurac recommend RUN.",
            *dict.fromkeys(notes),
        ),
    )


def _provenance(runs: Sequence[Run]) -> Table:
    rows = []
    for run in runs:
        identity = run.record.get("identity", {})
        adapter, versions = identity.get("adapter", {}), run.record.get("versions", {})
        found = (
            *(run.name, run.method, adapter.get("max_rank"), adapter.get("scaling"), adapter.get("inference")),
            *(str(adapter.get("sha256", MISSING))[:12], identity.get("dtype"), identity.get("engine")),
            *(versions.get("aurac"), versions.get("lm_eval"), str(run.record.get("updated", MISSING))[:10]),
        )
        rows.append(tuple(TableCell(MISSING if value is None else str(value)) for value in found))
    table = Table(
        title="",  # its heading says it
        columns=(
            *("run", "method", "R", "scaling", "inference", "sha256", "dtype", "engine", "aurac", "lm_eval"),
            "measured",
        ),
        rows=tuple(rows),
    )
    return linked(table, runs)
