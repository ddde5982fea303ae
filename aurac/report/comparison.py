"""`compare`: several runs on the same documents, against a baseline and with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.errors import UnknownNameError
from aurac.report.formats import FORMATS
from aurac.report.joining import check_allowed, common_tasks, distinct, find_baseline, join
from aurac.results import Run, load
from aurac.score import AuracScore, compute
from aurac.statistics.macro import macro_difference, macro_stderr
from aurac.statistics.multiplicity import holm
from aurac.statistics.paired import PairedDifference
from aurac.statistics.pairwise import Pairwise, pairwise
from aurac.statistics.tiers import Tiers

if TYPE_CHECKING:
    import pandas as pd

MACRO = "macro"
OUTPUTS = (*FORMATS, "csv", "json")
"""What `Comparison.render` can write."""


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
class Settings:
    """How a comparison was made; arguments of `compare`."""

    axis: str = "log2"
    rule: str = "trapezoid"
    confidence_level: float = 0.95
    n_resamples: int = 9999
    seed: int = 12345

    @property
    def alpha(self) -> float:
        """Level of the tests that belongs to the intervals."""
        return round(1 - self.confidence_level, 12)

    @property
    def score(self) -> dict[str, Any]:
        """Arguments of `compute`."""
        return {"axis": self.axis, "rule": self.rule, "confidence_level": self.confidence_level}


@dataclass(frozen=True)
class Comparison:
    """Runs compared on their common documents; `render` writes it in any of `OUTPUTS`.

    Attributes:
        runs: The runs, the baseline among them.
        tasks: Tasks compared.
        baseline: Name of the run that the others are compared with.
        results: (run name, task) -> result; the task "macro" is the mean over tasks, where that makes sense.
        notes: What a reader has to know, printed under the tables.
        pairs: Task -> tests of all pairs as one family; tasks whose documents cannot be joined are left out.
        settings: How it was made.
    """

    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    baseline: str
    results: dict[tuple[str, str], Result]
    notes: tuple[str, ...]
    pairs: Mapping[str, Pairwise]
    settings: Settings

    @property
    def headline(self) -> str:
        """The column that orders the runs: the mean over tasks, or the first task."""
        return MACRO if (self.baseline, MACRO) in self.results else self.tasks[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The tasks, and the mean over them where there is one."""
        return (*self.tasks, MACRO) if self.headline == MACRO else self.tasks

    def ordered(self) -> list[Run]:
        """Return the runs from best to worst in the headline column."""
        best_last = self._higher_is_better(self.headline)
        return sorted(self.runs, key=lambda run: self.results[run.name, self.headline].value, reverse=best_last)

    def tiers(self, task: str) -> Tiers | None:
        """Return the places on a task that the tests of all pairs can tell apart; None where there are no tests."""
        return self.pairs[task].tiers(self.settings.alpha) if task in self.pairs else None

    def _higher_is_better(self, task: str) -> bool:
        score = self.results[self.baseline, self.tasks[0] if task == MACRO else task].score
        assert score is not None
        return score.curve.higher_is_better

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each run and task, fractions, None where something is not known."""
        from aurac.report.records import record

        return [record(self, run, task) for run in self.ordered() for task in self.columns]

    def to_frame(self) -> pd.DataFrame:
        """Return `records` as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def render(self, output: str = "terminal") -> str:
        """Return the comparison as text.

        Raises:
            UnknownNameError: If `output` is not in `OUTPUTS`.
        """
        from aurac.report.leaderboard import tables
        from aurac.report.records import json_text
        from aurac.report.spreadsheet import csv_text

        if output == "csv":
            return csv_text(self.records())
        if output == "json":
            return json_text(self)
        if output not in FORMATS:
            raise UnknownNameError("output format", output, OUTPUTS)
        return "\n".join(FORMATS[output](table) for table in tables(self))

    def prose(self) -> str:
        """Return a "methods" paragraph for a paper, with the references it cites."""
        from aurac.report.prose import methods

        return methods(self)

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
        """Return `records`, pairs, signatures and notes as JSON."""
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
    allow: Sequence[str] = (),
) -> Comparison:
    """Compare runs with a baseline, and with each other, on the documents that all of them have.

    Args:
        runs: Runs or paths of run records; at least one.
        baseline: Name or method of the run to compare with; by default the first.
        tasks: Which tasks; by default all that every run has.
        axis: As for `aurac.compute`.
        rule: As for `aurac.compute`.
        confidence_level: Of all intervals; places are told apart at the level that belongs to it.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.
        allow: Signature keys that may differ between runs ("shots", "task"); the tables then say so.

    Raises:
        ComparisonError: If tasks, ranks, metrics, shots or documents do not fit; the message says which.
        UnknownNameError: For a baseline, task or signature key that does not exist.
    """
    settings, allowed = Settings(axis, rule, confidence_level, n_resamples, seed), check_allowed(allow)
    loaded = distinct([run if isinstance(run, Run) else load(run) for run in runs])
    names, notes = common_tasks(loaded, tasks)
    chosen = find_baseline(loaded, baseline)
    results: dict[tuple[str, str], Result] = {}
    pairs: dict[str, Pairwise] = {}
    for task in names:
        joined = join(loaded, task, options=settings.score, allow=allowed)
        notes += joined.notes
        if joined.paired and len(loaded) > 1:
            # The baseline comes last, so that it is the subtrahend of all its pairs.
            order = [*(name for name in joined.curves if name != chosen), chosen]
            pairs[task] = pairwise(
                {name: joined.curves[name] for name in order}, seed=seed, n_resamples=n_resamples, **settings.score
            )
        for name, curve in joined.curves.items():
            score = compute(curve, **settings.score)
            difference = pairs[task].differences[name, chosen] if task in pairs and name != chosen else None
            results[name, task] = Result(score.value, score.value_linear, score.stderr, score, difference)
    if len(names) > 1:
        notes += _add_macro(results, pairs, loaded, names, chosen, settings)
    return Comparison(tuple(loaded), names, chosen, _with_holm(results), tuple(dict.fromkeys(notes)), pairs, settings)


def _add_macro(
    results: dict[tuple[str, str], Result],
    pairs: dict[str, Pairwise],
    runs: Sequence[Run],
    tasks: Sequence[str],
    baseline: str,
    settings: Settings,
) -> list[str]:
    """Add the mean over tasks, where the metrics have one; otherwise return a note that says why not."""
    scores = [results[baseline, task].score for task in tasks]
    if not all(score is not None and score.curve.bounded and score.curve.higher_is_better for score in scores):
        return ["no mean over tasks: their metrics have different units or directions."]
    values = {run.name: math.fsum(results[run.name, task].value for task in tasks) / len(tasks) for run in runs}
    if all(task in pairs for task in tasks):
        pairs[MACRO] = _macro_pairs(values, [pairs[task] for task in tasks], settings)
    for run in runs:
        parts = [results[run.name, task] for task in tasks]
        linear = [part.value_linear for part in parts if part.value_linear is not None]
        stderrs = [part.stderr for part in parts if part.stderr is not None]
        results[run.name, MACRO] = Result(
            value=values[run.name],
            value_linear=math.fsum(linear) / len(parts) if len(linear) == len(parts) else None,
            stderr=macro_stderr(stderrs) if len(stderrs) == len(parts) else None,
            score=None,
            difference=pairs[MACRO].differences.get((run.name, baseline)) if MACRO in pairs else None,
        )
    return []


def _macro_pairs(values: Mapping[str, float], parts: Sequence[Pairwise], settings: Settings) -> Pairwise:
    """Return the tests of all pairs on the mean over tasks."""
    options: dict[str, Any] = {"confidence_level": settings.confidence_level, "n_resamples": settings.n_resamples}
    differences = {
        pair: macro_difference(
            [part.differences[pair] for part in parts], rng=np.random.default_rng(settings.seed), **options
        )
        for pair in parts[0].differences
    }
    adjusted = holm([d.p_value for d in differences.values()])
    return Pairwise(dict(values), differences, dict(zip(differences, adjusted, strict=True)), True)


def _with_holm(results: dict[tuple[str, str], Result]) -> dict[tuple[str, str], Result]:
    adjusted = dict(results)
    for task in dict.fromkeys(task for _, task in results):
        family = [key for key in results if key[1] == task and results[key].difference is not None]
        p_values = holm([d.p_value for key in family if (d := results[key].difference) is not None])
        adjusted |= {key: replace(results[key], p_holm=p) for key, p in zip(family, p_values, strict=True)}
    return adjusted
