"""What tables, records and footnotes of a comparison read off it: units, headings, marks, signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import inf
from string import ascii_lowercase

from aurac.analysis.compute import AuracScore
from aurac.report.comparison import MACRO, Comparison, Result
from aurac.report.numbers import MISSING, p_text, with_error
from aurac.report.table import Cell
from aurac.results import Run
from aurac.statistics.methods import are_paired
from aurac.statistics.paired import PairedDifference
from aurac.statistics.planning import detectable_effect


def score_of(comparison: Comparison, run: str, task: str) -> AuracScore:
    """Return the score of a run on a task that is not the mean over tasks."""
    score = comparison.results[run, task].score
    assert score is not None
    return score


def unit(comparison: Comparison, task: str) -> float:
    """Return the factor for printing: 100 for fractions, 1 for other metrics."""
    return 100.0 if task == MACRO or score_of(comparison, comparison.baseline, task).curve.bounded else 1.0


def metric(comparison: Comparison, task: str) -> str:
    """Return the metric's name, with an arrow where lower is better."""
    curve = score_of(comparison, comparison.baseline, task).curve
    return f"{curve.metric or 'accuracy'}{'' if curve.higher_is_better else ' ↓'}"


def heading(comparison: Comparison, task: str) -> str:
    """Return the heading of a task's column."""
    return task if task == MACRO else f"{task} ({metric(comparison, task)})"


def letters(comparison: Comparison) -> Mapping[str, str]:
    """Return run name -> letter, in the order of the table; none where there is nothing to tell apart."""
    if not comparison.pairs or len(comparison.runs) > len(ascii_lowercase):
        return {}
    return dict(zip((run.name for run in comparison.ordered()), ascii_lowercase, strict=False))


def run_cell(comparison: Comparison, run: Run) -> Cell:
    """Return the run's name, with its letter where there are letters."""
    letter = letters(comparison).get(run.name)
    return Cell(run.name if letter is None else f"{run.name} ({letter})")


def value_cell(comparison: Comparison, run: Run, task: str) -> Cell:
    """Return AURAC ± SE, bold unless a run is significantly better, marked with the runs that are significantly worse.

    Without tests the best value is bold, ties too.
    """
    result = comparison.results[run.name, task]
    text = with_error(result.value, result.stderr, unit=unit(comparison, task))
    tiers, names = comparison.tiers(task), letters(comparison)
    if tiers is None:
        return Cell(text, bold=_is_best(comparison, result, task))
    beaten = "".join(names[other] for other in names if _beats(comparison, task, run.name, other))
    return Cell(text, bold=tiers.places[run.name][0] == 1, superscript=beaten)


def place_text(comparison: Comparison, run: Run, task: str) -> str:
    """Return "1", or "1-2 tied" where the tests cannot tell."""
    tiers = comparison.tiers(task)
    return MISSING if tiers is None else tiers.label(run.name)


def delta_cells(result: Result, factor: float) -> list[Cell]:
    """Return difference ± SE, adjusted p, and wins/ties/losses."""
    d = result.difference
    if d is None:
        return [Cell(MISSING)] * 3
    return [
        Cell(with_error(d.value, d.stderr, unit=factor, sign=True)),
        Cell(p_text(result.p_holm)),
        Cell(f"{d.wins}/{d.ties}/{d.losses}"),
    ]


def detectable(comparison: Comparison, d: PairedDifference) -> float | None:
    """Return the smallest true difference that an unadjusted test finds with 80 % power; None without spread."""
    if d.stderr == 0:
        return None
    return detectable_effect(d.stderr, inf if d.df is None else d.df, alpha=comparison.settings.alpha)


def pairing(comparison: Comparison) -> str:
    """Return how the seeds of two methods were joined in the tests: "paired", "independent", or "mixed"."""
    curves = [score_of(comparison, run.name, comparison.tasks[0]).curve for run in comparison.runs]
    paired = {are_paired(a.seeds, b.seeds) for a, b in combinations(curves, 2) if a.seeds and b.seeds}
    return {True: "paired", False: "independent"}[paired.pop()] if len(paired) == 1 else "mixed"


def signature_lines(comparison: Comparison, task: str) -> list[str]:
    """Return the signatures of a task: one line, or one for each kind where they were allowed to differ."""
    test = {}
    if task in comparison.pairs:
        settings = comparison.settings
        flips = {"test": f"flip{settings.n_resamples}", "adj": "holm", "rs": str(settings.seed)}
        test = flips if settings.target == "docs" else {"test": "t", "pairing": pairing(comparison), "adj": "holm"}
    order = [comparison.baseline, *(run.name for run in comparison.runs)]
    found = [score_of(comparison, name, task).signature for name in order]
    return list(dict.fromkeys(str(replace(s, inference={**s.inference, **test})) for s in found))


def _beats(comparison: Comparison, task: str, name: str, other: str) -> bool:
    pairs = comparison.pairs[task]
    for a, b, sign in ((name, other, 1), (other, name, -1)):
        if (a, b) in pairs.p_adjusted:
            better = sign * pairs.differences[a, b].value * (1 if pairs.higher_is_better else -1) > 0
            return better and pairs.p_adjusted[a, b] <= comparison.settings.alpha
    return False


def _is_best(comparison: Comparison, result: Result, task: str) -> bool:
    values = [comparison.results[run.name, task].value for run in comparison.runs]
    higher = task == MACRO or score_of(comparison, comparison.baseline, task).curve.higher_is_better
    return len(values) > 1 and abs(result.value - (max(values) if higher else min(values))) < 1e-12
