"""`compare`: several runs on the same documents, against a baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.report.formats import FORMATS
from aurac.results import Run, load
from aurac.score import AuracScore, compute
from aurac.statistics.alignment import align
from aurac.statistics.macro import macro_difference, macro_stderr
from aurac.statistics.multiplicity import holm
from aurac.statistics.paired import PairedDifference, paired_difference

if TYPE_CHECKING:
    import pandas as pd

MACRO = "macro"
OUTPUTS = (*FORMATS, "csv", "json")
"""What `Comparison.render` can write."""
_MAY_DIFFER = {"n", "docs"}


@dataclass(frozen=True)
class Result:
    """One run on one task (or on the mean over tasks).

    Attributes:
        value: AURAC.
        value_linear: AURAC on the linear axis.
        stderr: Standard error over documents, None where unknown.
        score: The whole score; None for the mean over tasks.
        difference: Paired difference to the baseline; None for the baseline, or without per-document scores.
        p_holm: The difference's p-value, adjusted over the runs compared with the baseline on this task.
    """

    value: float
    value_linear: float | None
    stderr: float | None
    score: AuracScore | None
    difference: PairedDifference | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs compared on their common documents; `render` writes it in any of `OUTPUTS`.

    Attributes:
        runs: The runs, the baseline among them.
        tasks: Tasks compared.
        baseline: Name of the run that the others are compared with.
        results: (run name, task) -> result; the task "macro" is the mean over tasks, where that makes sense.
        notes: What a reader has to know, printed under the tables.
    """

    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    baseline: str
    results: dict[tuple[str, str], Result]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The column that orders the runs: the mean over tasks, or the first task."""
        return MACRO if (self.baseline, MACRO) in self.results else self.tasks[0]

    def ordered(self) -> list[Run]:
        """Return the runs from best to worst in the headline column."""
        best_last = self._higher_is_better(self.headline)
        return sorted(self.runs, key=lambda run: self.results[run.name, self.headline].value, reverse=best_last)

    def _higher_is_better(self, task: str) -> bool:
        score = self.results[self.baseline, self.tasks[0] if task == MACRO else task].score
        assert score is not None
        return score.curve.higher_is_better

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each run and task, fractions, None where something is not known."""
        from aurac.report.leaderboard import record

        columns = [*self.tasks, MACRO] if self.headline == MACRO else list(self.tasks)
        return [record(self, run, task) for run in self.ordered() for task in columns]

    def to_frame(self) -> pd.DataFrame:
        """Return `records` as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def render(self, output: str = "terminal") -> str:
        """Return the comparison as text.

        Raises:
            UnknownNameError: If `output` is not in `OUTPUTS`.
        """
        from aurac.report.leaderboard import json_text, tables
        from aurac.report.spreadsheet import csv_text

        if output == "csv":
            return csv_text(self.records())
        if output == "json":
            return json_text(self)
        if output not in FORMATS:
            raise UnknownNameError("output format", output, OUTPUTS)
        return "\n".join(FORMATS[output](table) for table in tables(self))

    def to_markdown(self) -> str:
        """Return GitHub-flavoured Markdown tables."""
        return self.render("markdown")

    def to_latex(self) -> str:
        """Return LaTeX tables that need booktabs."""
        return self.render("latex")

    def to_csv(self) -> str:
        """Return `records` as CSV."""
        return self.render("csv")

    def to_json(self) -> str:
        """Return `records`, signatures and notes as JSON."""
        return self.render("json")

    def __str__(self) -> str:
        return self.render("terminal")


def compare(
    runs: Sequence[Run | str | PathLike[str]],
    *,
    baseline: str | None = None,
    tasks: Sequence[str] | None = None,
    axis: str = "log2",
    rule: str = "trapezoid",
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    seed: int = 12345,
) -> Comparison:
    """Compare runs with a baseline on the documents that all of them have.

    Args:
        runs: Runs or paths of run records; at least one.
        baseline: Name or method of the run to compare with; by default the first.
        tasks: Which tasks; by default all that every run has.
        axis: As for `aurac.compute`.
        rule: As for `aurac.compute`.
        confidence_level: Of all intervals.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.

    Raises:
        ComparisonError: If tasks, ranks, metrics, shots or documents do not fit; the message says which.
    """
    loaded = _distinct([run if isinstance(run, Run) else load(run) for run in runs])
    names = _common_tasks(loaded, tasks)
    chosen = _find_baseline(loaded, baseline)
    options: dict[str, Any] = {"axis": axis, "rule": rule, "confidence_level": confidence_level}
    results: dict[tuple[str, str], Result] = {}
    notes: list[str] = []
    for task in names:
        curves = _common_curves(loaded, task, options, notes)
        scores = {name: compute(curve, **options) for name, curve in curves.items()}
        differences = {
            name: paired_difference(
                curve, curves[chosen], n_resamples=n_resamples, rng=np.random.default_rng(seed), **options
            )
            for name, curve in curves.items()
            if name != chosen and curve.scores is not None and len(curve.scores) > 1
        }
        for name, score in scores.items():
            results[name, task] = Result(score.value, score.value_linear, score.stderr, score, differences.get(name))
    if len(names) > 1:
        _add_macro(results, loaded, names, chosen, confidence_level, n_resamples, seed, notes)
    return Comparison(tuple(loaded), names, chosen, _with_holm(results), tuple(dict.fromkeys(notes)))


def _distinct(runs: list[Run]) -> list[Run]:
    """Give runs of the same name the end of their path that tells them apart."""
    names = [run.name for run in runs]
    clash = [run for run in runs if names.count(run.name) > 1]
    for run in clash:
        if run.path is None or sum(other.path == run.path for other in clash) > 1:
            raise ComparisonError(f"run {run.name!r} was given twice. Give each run once.")
    return [
        replace(run, name="/".join(run.path.parts[-3:])) if run in clash and run.path is not None else run
        for run in runs
    ]


def _common_tasks(runs: Sequence[Run], tasks: Sequence[str] | None) -> tuple[str, ...]:
    if tasks is not None:
        for run in runs:
            for task in tasks:
                if task not in run.tasks:
                    raise UnknownNameError(f"task in run {run.name!r}", task, run.tasks)
        return tuple(tasks)
    common = [task for task in runs[0].tasks if all(task in run.tasks for run in runs)]
    if not common:
        listed = "; ".join(f"{run.name}: {', '.join(run.tasks)}" for run in runs)
        raise ComparisonError(f"the runs have no task in common ({listed}). Score them on the same tasks.")
    return tuple(common)


def _find_baseline(runs: Sequence[Run], baseline: str | None) -> str:
    if baseline is None:
        return runs[0].name
    for run in runs:
        if run.name == baseline:
            return run.name
    by_method = [run.name for run in runs if run.method == baseline]
    if len(by_method) == 1:
        return by_method[0]
    raise UnknownNameError("baseline", baseline, [run.name for run in runs])


def _common_curves(
    runs: Sequence[Run], task: str, options: dict[str, Any], notes: list[str]
) -> dict[str, RankAccuracyCurve]:
    """Return each run's curve on the common documents, or on what it has where documents are not known."""
    curves = [run.curve(task).named(run.name) for run in runs]
    first = compute(curves[0], **options).signature
    for curve in curves[1:]:
        differing = first.differences(compute(curve, **options).signature)
        for key, (a, b) in differing.items():
            if key not in _MAY_DIFFER:
                raise ComparisonError(
                    f"{curves[0].name!r} and {curve.name!r} are not comparable on {task}: {key} is {a} and {b}. Score "
                    "both with the same ranks, metric, shots and task version."
                )
    if any(curve.documents is None for curve in curves):
        notes.append(f"{task}: not every run has per-document scores, so there is no paired difference.")
        return {str(curve.name): curve for curve in curves}
    aligned = align(curves, missing="drop")
    dropped = max(c.n_documents or 0 for c in curves) - (aligned[0].n_documents or 0)
    if dropped:
        notes.append(f"{task}: {aligned[0].n_documents} documents that all runs have; up to {dropped} left out.")
    return {str(curve.name): curve for curve in aligned}


def _add_macro(
    results: dict[tuple[str, str], Result],
    runs: Sequence[Run],
    tasks: Sequence[str],
    baseline: str,
    confidence_level: float,
    n_resamples: int,
    seed: int,
    notes: list[str],
) -> None:
    scores = [results[baseline, task].score for task in tasks]
    if not all(score is not None and score.curve.bounded and score.curve.higher_is_better for score in scores):
        notes.append("no mean over tasks: their metrics have different units or directions.")
        return
    for run in runs:
        parts = [results[run.name, task] for task in tasks]
        linear = [part.value_linear for part in parts if part.value_linear is not None]
        stderrs = [part.stderr for part in parts if part.stderr is not None]
        differences = [part.difference for part in parts if part.difference is not None]
        options: dict[str, Any] = {"confidence_level": confidence_level, "n_resamples": n_resamples}
        results[run.name, MACRO] = Result(
            value=math.fsum(part.value for part in parts) / len(parts),
            value_linear=math.fsum(linear) / len(parts) if len(linear) == len(parts) else None,
            stderr=macro_stderr(stderrs) if len(stderrs) == len(parts) else None,
            score=None,
            difference=macro_difference(differences, rng=np.random.default_rng(seed), **options)
            if len(differences) == len(parts)
            else None,
        )


def _with_holm(results: dict[tuple[str, str], Result]) -> dict[tuple[str, str], Result]:
    adjusted = dict(results)
    for task in dict.fromkeys(task for _, task in results):
        family = [key for key in results if key[1] == task and results[key].difference is not None]
        p_values = holm([d.p_value for key in family if (d := results[key].difference) is not None])
        adjusted |= {key: replace(results[key], p_holm=p) for key, p in zip(family, p_values, strict=True)}
    return adjusted
