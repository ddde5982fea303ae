"""A comparison as tables, as CSV, and as JSON."""

from __future__ import annotations

import json
from typing import Any

from aurac.report.comparison import MACRO, Comparison, Result
from aurac.report.numbers import MISSING, p_text, value_text, with_error
from aurac.report.table import Cell, Table
from aurac.results import Run
from aurac.score import AuracScore


def tables(comparison: Comparison) -> list[Table]:
    """Return the leaderboard, the paired differences, and the accuracy at every rank of each task.

    A single run needs no leaderboard: it gets one table with its tasks as rows.
    """
    if len(comparison.runs) == 1:
        return [_single(comparison)]
    made = [_leaderboard(comparison)]
    if any(result.difference is not None for result in comparison.results.values()):
        made.append(_differences(comparison))
    return made + [_accuracies(comparison, task) for task in comparison.tasks]


def record(comparison: Comparison, run: Run, task: str) -> dict[str, Any]:
    """Return one run on one task as a flat dictionary; fractions, None where something is not known."""
    result = comparison.results[run.name, task]
    score, d = result.score, result.difference
    interval = score.interval if score else None
    row: dict[str, Any] = {
        "run": run.name,
        "method": run.method,
        "task": task,
        "metric": score.curve.metric if score else None,
        "higher_is_better": score.curve.higher_is_better if score else True,
        "n_documents": score.curve.n_documents if score else None,
        "aurac": result.value,
        "aurac_stderr": result.stderr,
        "aurac_low": interval.low if interval else None,
        "aurac_high": interval.high if interval else None,
        "aurac_linear": result.value_linear,
        "baseline": comparison.baseline,
        "difference": d.value if d else None,
        "difference_stderr": d.stderr if d else None,
        "difference_low": d.interval.low if d else None,
        "difference_high": d.interval.high if d else None,
        "p_value": d.p_value if d else None,
        "p_holm": result.p_holm,
        "wins": d.wins if d else None,
        "ties": d.ties if d else None,
        "losses": d.losses if d else None,
    }
    if score:
        row |= {
            f"rank_{rank}": float(value) for rank, value in zip(score.curve.ranks, score.curve.accuracies, strict=True)
        }
    return row


def json_text(comparison: Comparison) -> str:
    """Return records, signatures and notes as JSON."""
    content = {
        "baseline": comparison.baseline,
        "tasks": comparison.tasks,
        "rows": comparison.records(),
        "signatures": {task: _signature(comparison, task) for task in comparison.tasks},
        "notes": comparison.notes,
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _leaderboard(comparison: Comparison) -> Table:
    columns = [*comparison.tasks, MACRO] if comparison.headline == MACRO else list(comparison.tasks)
    rows = []
    for run in comparison.ordered():
        cells = [Cell(run.name)]
        for task in columns:
            result = comparison.results[run.name, task]
            text = with_error(result.value, result.stderr, unit=_unit(comparison, task))
            cells.append(Cell(text, bold=_is_best(comparison, result, task)))
        headline = comparison.results[run.name, comparison.headline]
        unit = _unit(comparison, comparison.headline)
        cells += [Cell(value_text(headline.value_linear, headline.stderr, unit=unit)), *_delta(headline, unit)]
        rows.append(tuple(cells))
    headings = [f"{task} ({_metric(comparison, task)})" if task != MACRO else task for task in columns]
    return Table(
        title="AURAC ± standard error",
        columns=("run", *headings, "linear", f"Δ to {comparison.baseline}", "p"),
        rows=tuple(rows),
        notes=_notes(comparison),
    )


def _single(comparison: Comparison) -> Table:
    (run,) = comparison.runs
    ranks = sorted({rank for task in comparison.tasks for rank in _score(comparison, run.name, task).curve.ranks})
    rows = []
    for task in comparison.tasks:
        score = _score(comparison, run.name, task)
        curve, unit = score.curve, _unit(comparison, task)
        known = dict(zip(curve.ranks, curve.accuracies.tolist(), strict=True))
        rows.append(
            (
                Cell(task),
                Cell(_metric(comparison, task)),
                Cell(MISSING if curve.num_fewshot is None else str(curve.num_fewshot)),
                Cell(MISSING if curve.n_documents is None else str(curve.n_documents)),
                *(Cell(value_text(known.get(rank), score.stderr, unit=unit)) for rank in ranks),
                Cell(with_error(score.value, score.stderr, unit=unit)),
                Cell(_interval_text(score, unit)),
                Cell(value_text(score.value_linear, score.stderr, unit=unit)),
            )
        )
    if (macro := comparison.results.get((run.name, MACRO))) is not None:
        blank = [Cell("")] * (3 + len(ranks))
        value = with_error(macro.value, macro.stderr)
        rows.append((Cell(MACRO), *blank, Cell(value), Cell(""), Cell(value_text(macro.value_linear, macro.stderr))))
    level = _score(comparison, run.name, comparison.tasks[0]).interval
    return Table(
        title=f"{run.name}: {run.method}, value at each rank and AURAC ± standard error",
        columns=(
            *("task", "metric", "shots", "documents"),
            *(f"r={rank}" for rank in ranks),
            *("AURAC", f"{level.confidence_level:.0%} interval" if level else "interval", "linear"),
        ),
        rows=tuple(rows),
        notes=_notes(comparison),
    )


def _interval_text(score: AuracScore, unit: float) -> str:
    if score.interval is None:
        return MISSING
    return " to ".join(value_text(end, score.stderr, unit=unit) for end in (score.interval.low, score.interval.high))


def _differences(comparison: Comparison) -> Table:
    columns = [*comparison.tasks, MACRO] if comparison.headline == MACRO else list(comparison.tasks)
    rows = []
    for run in comparison.ordered():
        for task in columns:
            result = comparison.results[run.name, task]
            d, unit = result.difference, _unit(comparison, task)
            if d is None:
                continue
            low, high = (value_text(x, d.stderr, unit=unit, sign=True) for x in (d.interval.low, d.interval.high))
            rows.append(
                (
                    Cell(run.name),
                    Cell(task),
                    Cell(value_text(d.value, d.stderr, unit=unit, sign=True)),
                    Cell(f"{low} to {high}"),
                    Cell(p_text(d.p_value)),
                    Cell(p_text(result.p_holm)),
                    Cell(f"{d.wins}/{d.ties}/{d.losses}"),
                )
            )
    level = next(r.difference.interval.confidence_level for r in comparison.results.values() if r.difference)
    return Table(
        title=f"Paired difference to {comparison.baseline}",
        columns=("run", "task", "Δ", f"{level:.0%} interval", "p", "p (Holm)", "wins/ties/losses"),
        rows=tuple(rows),
    )


def _accuracies(comparison: Comparison, task: str) -> Table:
    ranks = _score(comparison, comparison.baseline, task).curve.ranks
    rows = []
    for run in comparison.ordered():
        score = _score(comparison, run.name, task)
        unit = _unit(comparison, task)
        n = score.curve.n_documents
        rows.append((Cell(run.name), *(Cell(value_text(v, 0.5 / n**0.5 if n else None, unit=unit))
                                       for v in score.curve.accuracies.tolist())))  # fmt: skip
    return Table(
        title=f"{task}: {_metric(comparison, task)} at each rank", columns=("run", *map(str, ranks)), rows=tuple(rows)
    )


def _notes(comparison: Comparison) -> tuple[str, ...]:
    notes = [
        "Values in points where they are fractions. Error: standard error over documents (this adapter, new documents "
        "of this kind); seeds of the training are not part of it. linear: the same score on the linear axis."
    ]
    if any(result.difference is not None for result in comparison.results.values()):
        notes.append("Δ: paired on common documents. p: sign-flip of whole documents, adjusted by Holm over the runs.")
    notes += [note for run in comparison.runs if (note := _adapter_note(run))]
    cautions = []
    if len(comparison.runs) == 1:
        scores = {task: _score(comparison, comparison.baseline, task) for task in comparison.tasks}
        cautions = [f"{task}: {text}" for task, score in scores.items() for text in score.warnings]
    signatures = [_signature(comparison, task) for task in comparison.tasks]
    return (*notes, *comparison.notes, *cautions, *signatures)


def _adapter_note(run: Run) -> str | None:
    """Say how the sub-ranks of an adapter of another maker were scaled."""
    adapter = run.record.get("identity", {}).get("adapter", {})
    if adapter.get("sidecar", True):
        return None
    return (
        f"{run.name}: no sidecar, so it was scored as prefixes of a plain LoRA, whose factor before B A stays what it "
        f"is at full rank (scaling one, gain {adapter.get('gain'):g})."
    )


def _delta(result: Result, unit: float) -> list[Cell]:
    d = result.difference
    if d is None:
        return [Cell(MISSING), Cell(MISSING)]
    text = f"{value_text(d.value, d.stderr, unit=unit, sign=True)} ± {value_text(d.stderr, d.stderr, unit=unit)}"
    return [Cell(text), Cell(p_text(result.p_holm))]


def _is_best(comparison: Comparison, result: Result, task: str) -> bool:
    values = [comparison.results[run.name, task].value for run in comparison.runs]
    higher = task == MACRO or _score(comparison, comparison.baseline, task).curve.higher_is_better
    return len(values) > 1 and abs(result.value - (max(values) if higher else min(values))) < 1e-12


def _metric(comparison: Comparison, task: str) -> str:
    curve = _score(comparison, comparison.baseline, task).curve
    return f"{curve.metric or 'accuracy'}{'' if curve.higher_is_better else ' ↓'}"


def _unit(comparison: Comparison, task: str) -> float:
    return 100.0 if task == MACRO or _score(comparison, comparison.baseline, task).curve.bounded else 1.0


def _score(comparison: Comparison, run: str, task: str) -> AuracScore:
    score = comparison.results[run, task].score
    assert score is not None
    return score


def _signature(comparison: Comparison, task: str) -> str:
    return str(_score(comparison, comparison.baseline, task).signature)
