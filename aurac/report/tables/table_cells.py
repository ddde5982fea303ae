"""What the tables of a comparison share: units, headings, cells with their marks."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.curve.curve import UNITS
from aurac.report.numbers import MISSING, p_text, with_error
from aurac.report.table import TableCell
from aurac.results import Run

FULL = {"rank": "full rank", "budget": "the whole adapter"}
"""What a point of a curve is called -> what the largest one is called."""


def unit(compared: ComparedRuns, task: str) -> float:
    """Return the factor for printing: 100 for fractions, 1 for other metrics."""
    return 100.0 if compared.bounded(task) else 1.0


def metric(compared: ComparedRuns, task: str) -> str:
    """Return the metric's name, with an arrow where lower is better."""
    curve = compared.score(compared.baseline, task).curve
    return f"{curve.metric or 'accuracy'}{'' if curve.higher_is_better else ' ↓'}"


def point_noun(compared: ComparedRuns) -> str:
    """Return what a point of the curves is called: rank, or budget."""
    return UNITS[compared.score(compared.baseline, compared.tasks[0]).curve.unit]


def point_text(compared: ComparedRuns, point: int, *, before: str = "") -> str:
    """Return a rank with what comes before it, or a budget."""
    return f"{before}{point}" if point_noun(compared) == "rank" else f"{point:,}"


def full_text(compared: ComparedRuns) -> str:
    """Return what the largest point is called."""
    return FULL[point_noun(compared)]


def heading(compared: ComparedRuns, task: str) -> str:
    """Return the heading of a task's column."""
    return task if task == MACRO else f"{task} ({metric(compared, task)})"


def letters(compared: ComparedRuns) -> Mapping[str, str]:
    """Return run name -> letter, in the order of the table; none where there is nothing to tell apart."""
    if not compared.pairs or len(compared.runs) > len(ascii_lowercase):
        return {}
    return dict(zip((run.name for run in compared.ordered()), ascii_lowercase, strict=False))


def run_cell(compared: ComparedRuns, run: Run) -> TableCell:
    """Return the run's name, with its letter where there are letters."""
    letter = letters(compared).get(run.name)
    return TableCell(run.name if letter is None else f"{run.name} ({letter})")


def value_cell(compared: ComparedRuns, run: Run, task: str) -> TableCell:
    """Return AURAC ± SE, bold unless a run is significantly better, marked with the runs that are significantly worse.

    Without tests the best value is bold, ties too.
    """
    result = compared.results[run.name, task]
    text = with_error(result.value, result.stderr, unit=unit(compared, task))
    tiers, names = compared.tiers(task), letters(compared)
    if tiers is None:
        return TableCell(text, bold=compared.has_best_value(run.name, task))
    beaten = "".join(names[other] for other in names if compared.beats(task, run.name, other))
    return TableCell(text, bold=tiers.places[run.name][0] == 1, superscript=beaten)


def place_text(compared: ComparedRuns, run: Run, task: str) -> str:
    """Return "1", or "1-2 tied" where the tests cannot tell."""
    tiers = compared.tiers(task)
    return MISSING if tiers is None else tiers.label(run.name)


def delta_cells(compared: ComparedRuns, run: Run, task: str) -> list[TableCell]:
    """Return difference ± SE, adjusted p, and wins/ties/losses."""
    result = compared.results[run.name, task]
    d = result.difference
    if d is None:
        return [TableCell(MISSING)] * 3
    return [
        TableCell(with_error(d.value, d.stderr, unit=unit(compared, task), sign=True)),
        TableCell(p_text(result.p_holm)),
        counts_cell(compared, run, task),
    ]


def counts_cell(compared: ComparedRuns, run: Run, task: str) -> TableCell:
    """Return wins/ties/losses; "–" where documents are not counted, as for audits."""
    counts = compared.wins_ties_losses(run.name, task)
    return TableCell("/".join(map(str, counts)) if counts else MISSING)
