"""A comparison as tables: places, differences to the baseline, the value at every rank."""

from __future__ import annotations

from aurac.report.comparison import MACRO, Comparison, Result
from aurac.report.numbers import MISSING, p_text, value_text, with_error
from aurac.report.table import Cell, Table
from aurac.report.tables.cells import (
    delta_cells,
    detectable,
    heading,
    metric,
    place_text,
    run_cell,
    score_of,
    unit,
    value_cell,
)
from aurac.report.tables.footnotes import footnotes

_LONG = 16
"""Characters of a baseline's name that fit into a heading; the footnotes name it in any case."""
_WIDE = 2
"""Tasks beside the mean over them that a table of 120 columns has room for."""


def tables(comparison: Comparison) -> list[Table]:
    """Return the leaderboard, the paired differences, and the value at every rank of each task.

    A single run needs no leaderboard: it gets one table with its tasks as rows.
    """
    if len(comparison.runs) == 1:
        return [_single(comparison)]
    made = leaderboard(comparison)
    if any(result.difference is not None for result in comparison.results.values()):
        made.append(_differences(comparison))
    return made + [_accuracies(comparison, task) for task in comparison.tasks]


def leaderboard(comparison: Comparison) -> list[Table]:
    """Return places and scores; many tasks get a table of their own."""
    split = len(comparison.tasks) > _WIDE and comparison.headline == MACRO
    main = _places(comparison, (MACRO,) if split else comparison.columns)
    return [main, _by_task(comparison)] if split else [main]


def _places(comparison: Comparison, columns: tuple[str, ...]) -> Table:
    rows = []
    for run in comparison.ordered():
        headline = comparison.results[run.name, comparison.headline]
        factor = unit(comparison, comparison.headline)
        rows.append(
            (
                run_cell(comparison, run),
                Cell(place_text(comparison, run, comparison.headline)),
                *(value_cell(comparison, run, task) for task in columns),
                Cell(value_text(headline.value_linear, headline.stderr, unit=factor)),
                *delta_cells(headline, factor),
            )
        )
    return Table(
        title="AURAC ± standard error",
        columns=(
            *("run", "place"),
            *(heading(comparison, task) for task in columns),
            *("linear", f"Δ to {comparison.baseline if len(comparison.baseline) <= _LONG else 'baseline'}"),
            *("p", "wins/ties/losses"),
        ),
        rows=tuple(rows),
        notes=footnotes(comparison),
    )


def _by_task(comparison: Comparison) -> Table:
    return Table(
        title="AURAC ± standard error on each task",
        columns=("run", *(heading(comparison, task) for task in comparison.tasks)),
        rows=tuple(
            (run_cell(comparison, run), *(value_cell(comparison, run, task) for task in comparison.tasks))
            for run in comparison.ordered()
        ),
    )


def _differences(comparison: Comparison) -> Table:
    rows = []
    for run in comparison.ordered():
        for task in comparison.columns:
            result = comparison.results[run.name, task]
            d, factor = result.difference, unit(comparison, task)
            if d is None:
                continue
            low, high = (value_text(x, d.stderr, unit=factor, sign=True) for x in (d.interval.low, d.interval.high))
            rows.append(
                (
                    Cell(run.name),
                    Cell(task),
                    Cell(value_text(d.value, d.stderr, unit=factor, sign=True)),
                    Cell(f"{low} to {high}"),
                    Cell(p_text(d.p_value)),
                    Cell(p_text(result.p_holm)),
                    Cell(f"{d.wins}/{d.ties}/{d.losses}"),
                    Cell(value_text(detectable(comparison, d), d.stderr, unit=factor)),
                )
            )
    level = comparison.settings.confidence_level
    return Table(
        title=f"Paired difference to {comparison.baseline}",
        columns=("run", "task", "Δ", f"{100 * level:.4g}% interval", "p", "p (Holm)", "wins/ties/losses", "MDE"),
        rows=tuple(rows),
    )


def _accuracies(comparison: Comparison, task: str) -> Table:
    curves = {run.name: score_of(comparison, run.name, task).curve for run in comparison.ordered()}
    ranks = sorted({rank for curve in curves.values() for rank in curve.ranks})
    rows = []
    for name, curve in curves.items():
        known = dict(zip(curve.ranks, curve.accuracies.tolist(), strict=True))
        digits = 0.5 / curve.n_documents**0.5 if curve.n_documents else None
        factor = unit(comparison, task)
        rows.append((Cell(name), *(Cell(value_text(known.get(rank), digits, unit=factor)) for rank in ranks)))
    return Table(
        title=f"{task}: {metric(comparison, task)} at each rank",
        columns=("run", *map(str, ranks)),
        rows=tuple(rows),
    )


def _single(comparison: Comparison) -> Table:
    (run,) = comparison.runs
    ranks = sorted({rank for task in comparison.tasks for rank in score_of(comparison, run.name, task).curve.ranks})
    rows = []
    for task in comparison.tasks:
        score = score_of(comparison, run.name, task)
        curve, factor = score.curve, unit(comparison, task)
        known = dict(zip(curve.ranks, curve.accuracies.tolist(), strict=True))
        rows.append(
            (
                Cell(task),
                Cell(metric(comparison, task)),
                Cell(MISSING if curve.num_fewshot is None else str(curve.num_fewshot)),
                Cell(MISSING if curve.n_documents is None else str(curve.n_documents)),
                *(Cell(value_text(known.get(rank), score.stderr, unit=factor)) for rank in ranks),
                Cell(with_error(score.value, score.stderr, unit=factor)),
                Cell(_interval_text(comparison.results[run.name, task], factor)),
                Cell(value_text(score.value_linear, score.stderr, unit=factor)),
            )
        )
    if (macro := comparison.results.get((run.name, MACRO))) is not None:
        blank = [Cell("")] * (3 + len(ranks))
        value = with_error(macro.value, macro.stderr)
        linear = Cell(value_text(macro.value_linear, macro.stderr))
        rows.append((Cell(MACRO), *blank, Cell(value), Cell(_interval_text(macro, 100)), linear))
    method = "" if run.method == run.name else f"{run.method}, "
    return Table(
        title=f"{run.name}: {method}value at each rank and AURAC ± standard error",
        columns=(
            *("task", "metric", "shots", "documents"),
            *(f"r={rank}" for rank in ranks),
            *("AURAC", f"{100 * comparison.settings.confidence_level:.4g}% interval", "linear"),
        ),
        rows=tuple(rows),
        notes=footnotes(comparison),
    )


def _interval_text(result: Result, factor: float) -> str:
    if result.interval is None:
        return MISSING
    ends = (result.interval.low, result.interval.high)
    return " to ".join(value_text(end, result.stderr, unit=factor) for end in ends)
