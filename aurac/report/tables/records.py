"""A comparison as flat records and as everything at once: fractions, None where something is not known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.analysis.each_seed import every_seed
from aurac.analysis.spent import any_known, training_tokens
from aurac.curve.curve import UNITS
from aurac.report.tables.gain import gain_of
from aurac.results import Run


def records(compared: ComparedRuns) -> list[dict[str, Any]]:
    """Return one flat dictionary for each run and task, the best run first."""
    return [_record(compared, run, task) for run in compared.ordered() for task in compared.columns]


def _record(compared: ComparedRuns, run: Run, task: str) -> dict[str, Any]:
    """Return one run on one task as a flat dictionary."""
    result = compared.results[run.name, task]
    score, d, tiers = result.score, result.difference, compared.tiers(task)
    interval = result.interval
    first, last = tiers.places[run.name] if tiers else (None, None)
    other, other_tiers = compared.other_pairs.get(task), compared.other_tiers(task)
    there = other_tiers.places[run.name] if other_tiers else (None, None)
    equal = compared.equal_within.tests.get((run.name, task)) if compared.equal_within else None
    wins, ties, losses = compared.wins_ties_losses(run.name, task) or (None, None, None)
    row: dict[str, Any] = {
        "run": run.name,
        "method": run.method,
        "n_seeds": len(run.seeds) or 1,
        "task": task,
        "metric": score.curve.metric if score else None,
        "higher_is_better": score.curve.higher_is_better if score else True,
        "n_documents": score.curve.n_documents if score else None,
        "aurac": result.value,
        "aurac_stderr": result.stderr,
        "aurac_low": interval.low if interval else None,
        "aurac_high": interval.high if interval else None,
        "aurac_linear": result.value_linear,
        "place_first": first,
        "place_last": last,
        "other_axis": compared.other_axis,
        "aurac_other_axis": other.values[run.name] if other else None,
        "place_first_other_axis": there[0],
        "place_last_other_axis": there[1],
        "baseline": compared.baseline,
        "difference": d.value if d else None,
        "difference_stderr": d.stderr if d else None,
        "difference_low": d.interval.low if d else None,
        "difference_high": d.interval.high if d else None,
        "p_value": d.p_value if d else None,
        "p_holm": result.p_holm,
        "wins": wins,
        "ties": ties,
        "losses": losses,
        "test": d.test if d and d.p_value is not None else None,
        "detectable": compared.detectable(d) if d else None,
    }
    if any_known(compared.runs):
        row |= {"training_tokens": training_tokens(run)}
    if compared.equal_within is not None:
        row |= {"margin": compared.equal_within.margin, "p_equal": equal.p_value if equal else None}
    if score and score.curve.part is not None:
        part = score.curve.part
        row |= {"n_asked": part.n_asked, "n_benchmark": part.n_total, "cells_asked": part.share, "anchor": part.anchor}
        row |= {"aurac_target": interval.target if interval else None}
    if score:
        row |= {
            f"{UNITS[score.curve.unit]}_{rank}": float(value)
            for rank, value in zip(score.curve.ranks, score.curve.accuracies, strict=True)
        }
    return row | _gain(compared, run, task)


def _gain(compared: ComparedRuns, run: Run, task: str) -> dict[str, Any]:
    """Return the gain over the base model; nothing where the base was not measured."""
    about = None if task == MACRO else gain_of(compared, run, task)
    if about is None:
        return {}
    return {
        "base": about.base,
        "gain": about.area,
        "gain_stderr": about.area_stderr,
        "gain_full": about.full,
        "gain_full_stderr": about.full_stderr,
        "recovered": about.recovered_area,
        **{f"recovered_{rank}": share for rank, share in about.recovered.items()},
    }


def content(compared: ComparedRuns) -> dict[str, Any]:
    """Return records, tests of all pairs, values of every training seed, signatures and notes."""
    return {
        "baseline": compared.baseline,
        "target": compared.settings.target,
        "tasks": compared.tasks,
        "rows": records(compared),
        "pairs": _pairs(compared),
        "seeds": [asdict(found) for found in every_seed(compared)],
        "signatures": {task: compared.signature_lines(task)[0] for task in compared.tasks},
        "notes": compared.notes,
    }


def _pairs(compared: ComparedRuns) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "a": a,
            "b": b,
            "difference": d.value,
            "stderr": d.stderr,
            "p_value": d.p_value,
            "p_adjusted": pairs.p_adjusted.get((a, b)),
            **_elsewhere(compared, task, (a, b)),
        }
        for task, pairs in compared.pairs.items()
        for (a, b), d in pairs.differences.items()
    ]


def _elsewhere(compared: ComparedRuns, task: str, pair: tuple[str, str]) -> dict[str, Any]:
    """Return the difference and its adjusted p-value on the other axis."""
    other = compared.other_pairs.get(task)
    return {
        "difference_other_axis": other.differences[pair].value if other else None,
        "p_adjusted_other_axis": other.p_adjusted.get(pair) if other else None,
    }
