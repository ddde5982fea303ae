"""A comparison as tables: places, differences to the baseline, the value at every rank."""

from __future__ import annotations

from aurac.analysis.compared import MACRO, ComparedRuns, EqualWithin, Result
from aurac.analysis.spent import any_known, training_tokens
from aurac.curve.curve import RankAccuracyCurve
from aurac.report.numbers import MISSING, at_most_half, count_text, p_text, value_text, with_error
from aurac.report.table import Table, TableCell
from aurac.report.tables.each_seed import seed_table
from aurac.report.tables.footnotes import footnotes
from aurac.report.tables.gain import gains
from aurac.report.tables.table_cells import (
    counts_cell,
    delta_cells,
    heading,
    metric,
    place_text,
    point_noun,
    point_text,
    run_cell,
    unit,
    value_cell,
)
from aurac.results import Run

_LONG = 16
"""Characters of a baseline's name that fit into a heading; the footnotes name it in any case."""
_COUNTS = "wins/ties/losses"
_TOKENS = "training tokens"
_WIDE = 2
"""Tasks beside the mean over them that a table of 120 columns has room for."""


def tables(compared: ComparedRuns) -> list[Table]:
    """Return the leaderboard, the paired differences, and the value at every rank of each task.

    A single run needs no leaderboard: it gets one table with its tasks as rows. Gains over the base model come last.
    """
    if len(compared.runs) == 1:
        return [_single(compared), *seed_table(compared), *gains(compared)]
    made = leaderboard(compared)
    if any(result.difference is not None for result in compared.results.values()):
        made.append(_differences(compared))
    if compared.equal_within is not None:
        made.append(_equality(compared, compared.equal_within))
    made += seed_table(compared)
    return made + [_accuracies(compared, task) for task in compared.tasks] + gains(compared)


def leaderboard(compared: ComparedRuns) -> list[Table]:
    """Return places and scores; many tasks get a table of their own."""
    split = len(compared.tasks) > _WIDE and compared.headline == MACRO
    first = (compared.headline, *(task for task in compared.columns if task != compared.headline))
    main = _places(compared, (MACRO,) if split else first)
    return [main, _by_task(compared)] if split else [main]


def _places(compared: ComparedRuns, columns: tuple[str, ...]) -> Table:
    rows, costs = [], any_known(compared.runs)
    for run in compared.ordered():
        headline = compared.results[run.name, compared.headline]
        factor = unit(compared, compared.headline)
        rows.append(
            (
                run_cell(compared, run),
                TableCell(place_text(compared, run, compared.headline)),
                *(value_cell(compared, run, task) for task in columns),
                _on_other_axis(compared, run, headline, factor),
                *delta_cells(compared, run, compared.headline),
                *([TableCell(count_text(training_tokens(run)))] if costs else []),
            )
        )
    return Table(
        title="AURAC ± standard error",
        columns=(
            *("run", "place"),
            *(heading(compared, task) for task in columns),
            *(
                "log2 place" if compared.other_axis == "log2" else "linear",
                f"Δ to {compared.baseline if len(compared.baseline) <= _LONG else 'baseline'}",
            ),
            *("p", _COUNTS),
            *([_TOKENS] if costs else []),
        ),
        rows=tuple(rows),
        notes=footnotes(compared),
        least=(
            _COUNTS,
            _TOKENS,
            *(heading(compared, task) for task in reversed(columns) if task != compared.headline),
            "linear",
        ),
    )


def _on_other_axis(compared: ComparedRuns, run: Run, result: Result, factor: float) -> TableCell:
    """Return the score on the linear axis and the place there; on the linear axis itself the place on the other one."""
    tiers = compared.other_tiers(compared.headline)
    place = "" if tiers is None else tiers.label(run.name).removesuffix(" tied")
    if compared.other_axis == "log2":
        return TableCell(place or MISSING)
    value = value_text(result.value_linear, result.stderr, unit=factor)
    return TableCell(f"{value} ({place})" if place else value)


def _by_task(compared: ComparedRuns) -> Table:
    return Table(
        title="AURAC ± standard error on each task",
        columns=("run", *(heading(compared, task) for task in compared.tasks)),
        rows=tuple(
            (run_cell(compared, run), *(value_cell(compared, run, task) for task in compared.tasks))
            for run in compared.ordered()
        ),
    )


def _differences(compared: ComparedRuns) -> Table:
    rows = []
    for run in compared.ordered():
        for task in compared.columns:
            result = compared.results[run.name, task]
            d, factor = result.difference, unit(compared, task)
            if d is None:
                continue
            low, high = (value_text(x, d.stderr, unit=factor, sign=True) for x in (d.interval.low, d.interval.high))
            rows.append(
                (
                    TableCell(run.name),
                    TableCell(task),
                    TableCell(value_text(d.value, d.stderr, unit=factor, sign=True)),
                    TableCell(f"{low} to {high}"),
                    TableCell(p_text(d.p_value)),
                    TableCell(p_text(result.p_holm)),
                    counts_cell(compared, run, task),
                    TableCell(value_text(compared.detectable(d), d.stderr, unit=factor)),
                )
            )
    level = compared.settings.confidence_level
    return Table(
        title=f"Paired difference to {compared.baseline}",
        columns=("run", "task", "Δ", f"{100 * level:.4g}% interval", "p", "p (Holm)", _COUNTS, "MDE"),
        rows=tuple(rows),
        least=(_COUNTS, "MDE", "p"),
    )


def _equality(compared: ComparedRuns, equal: EqualWithin) -> Table:
    rows = []
    for run in compared.ordered():
        for task in compared.columns:
            if (test := equal.tests.get((run.name, task))) is None:
                continue
            factor = unit(compared, task)
            verdict = "equal" if test.p_value <= compared.settings.alpha else "not shown"
            cells = (run.name, task, value_text(test.value, test.margin / 10, unit=factor, sign=True))
            rows.append(tuple(map(TableCell, (*cells, at_most_half(test.p_value), verdict))))
    return Table(
        title=f"Equal to {compared.baseline} within {100 * equal.margin:.2f} points",
        columns=("run", "task", "Δ", "p", f"verdict at level {compared.settings.alpha:g}"),
        rows=tuple(rows),
        notes=(
            "Two one-sided tests against a difference of the margin or more (Schuirmann 1987), not adjusted. Not shown "
            "is no proof of a difference, and no significant difference is no proof of equality.",
        ),
    )


def _accuracies(compared: ComparedRuns, task: str) -> Table:
    curves = {run.name: compared.score(run.name, task).curve for run in compared.ordered()}
    ranks = sorted({rank for curve in curves.values() for rank in curve.ranks})
    rows = []
    for name, curve in curves.items():
        known = dict(zip(curve.ranks, curve.accuracies.tolist(), strict=True))
        digits = 0.5 / curve.n_documents**0.5 if curve.n_documents else None
        factor = unit(compared, task)
        rows.append((TableCell(name), *(TableCell(value_text(known.get(rank), digits, unit=factor)) for rank in ranks)))
    return Table(
        title=f"{task}: {metric(compared, task)} at each {point_noun(compared)}",
        columns=("run", *(point_text(compared, rank) for rank in ranks)),
        rows=tuple(rows),
    )


def _single(compared: ComparedRuns) -> Table:
    (run,) = compared.runs
    ranks = sorted({rank for task in compared.tasks for rank in compared.score(run.name, task).curve.ranks})
    rows = []
    for task in compared.tasks:
        score = compared.score(run.name, task)
        curve, factor = score.curve, unit(compared, task)
        known = dict(zip(curve.ranks, curve.accuracies.tolist(), strict=True))
        rows.append(
            (
                TableCell(task),
                TableCell(metric(compared, task)),
                TableCell(MISSING if curve.num_fewshot is None else str(curve.num_fewshot)),
                TableCell(_documents(curve)),
                *(TableCell(value_text(known.get(rank), score.stderr, unit=factor)) for rank in ranks),
                TableCell(with_error(score.value, score.stderr, unit=factor)),
                TableCell(_interval_text(compared.results[run.name, task], factor)),
                TableCell(value_text(score.value_linear, score.stderr, unit=factor)),
            )
        )
    if (macro := compared.results.get((run.name, MACRO))) is not None:
        blank = [TableCell("")] * (3 + len(ranks))
        value = with_error(macro.value, macro.stderr)
        linear = TableCell(value_text(macro.value_linear, macro.stderr))
        rows.append((TableCell(MACRO), *blank, TableCell(value), TableCell(_interval_text(macro, 100)), linear))
    method = "" if run.method == run.name else f"{run.method}, "
    interval = f"{100 * compared.settings.confidence_level:.4g}% interval"
    return Table(
        title=f"{run.name}: {method}value at each {point_noun(compared)} and AURAC ± standard error",
        columns=(
            *("task", "metric", "shots", "documents"),
            *(point_text(compared, rank, before="r=") for rank in ranks),
            *("AURAC", interval, "linear"),
        ),
        rows=tuple(rows),
        notes=footnotes(compared),
        least=(
            "linear",
            "shots",
            interval,
            "documents",
            *(point_text(compared, rank, before="r=") for rank in ranks[1:-1]),
        ),
    )


def _documents(curve: RankAccuracyCurve) -> str:
    if curve.part is not None:
        return f"{curve.part.n_asked} of {curve.part.n_total}"
    return MISSING if curve.n_documents is None else str(curve.n_documents)


def _interval_text(result: Result, factor: float) -> str:
    if result.interval is None:
        return MISSING
    ends = (result.interval.low, result.interval.high)
    return " to ".join(value_text(end, result.stderr, unit=factor) for end in ends)
