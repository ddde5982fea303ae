"""`compare`: several runs on the same documents, against a baseline and with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.analysis.compute import AuracScore, compute
from aurac.analysis.grouping import BY, as_run, by_method, check_target, pool
from aurac.analysis.joining import check_allowed, common_tasks, distinct, find_baseline, join
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.quadrature import weights
from aurac.report.formats import FORMATS
from aurac.report.tables.flat import flat_notes
from aurac.results import Run, load
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import t_interval
from aurac.statistics.macro import macro_difference, macro_interval, macro_mean
from aurac.statistics.methods import method_contrast, method_score
from aurac.statistics.multiplicity import holm
from aurac.statistics.paired import PairedDifference
from aurac.statistics.pairwise import Pairwise, pairwise
from aurac.statistics.refused import check_name
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
        stderr: Standard error for the target of the comparison, None where unknown.
        interval: Confidence interval that belongs to `stderr`, None where unknown.
        score: The whole score; None for the mean over tasks.
        difference: Paired difference to the baseline; None for the baseline, or without per-document scores.
        p_holm: The difference's p-value, adjusted over the runs compared with the baseline on this task.
    """

    value: float
    value_linear: float | None
    stderr: float | None
    interval: Interval | None
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
    target: str = "docs"

    @property
    def alpha(self) -> float:
        """Level of the tests that belongs to the intervals."""
        return round(1 - self.confidence_level, 12)

    @property
    def area(self) -> dict[str, Any]:
        """How a curve is integrated; arguments of `compute`."""
        return {"axis": self.axis, "rule": self.rule}


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs compared on their common documents; `render` writes it in any of `OUTPUTS`.

    Attributes:
        runs: The runs, the baseline among them; methods where several seeds are one row.
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
        from aurac.report.tables.records import record

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
        from aurac.report.formats.machine_readable import csv_text
        from aurac.report.tables.leaderboard import tables
        from aurac.report.tables.records import comparison_json

        if output == "csv":
            return csv_text(self.records())
        if output == "json":
            return comparison_json(self)
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

    def __repr__(self) -> str:
        names = tuple(run.name for run in self.runs)
        return f"Comparison(runs={names}, tasks={self.tasks}, baseline={self.baseline!r})"

    def _repr_html_(self) -> str:
        """Return the tables, for notebooks."""
        return self.render("html")


def compare(
    runs: Sequence[Run | str | PathLike[str]] | Mapping[str, Sequence[Run | str | PathLike[str]]],
    *,
    by: str = "run",
    target: str | None = None,
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
        runs: Runs or paths of run records, at least one; or a mapping of method name to its runs, one a training seed.
        by: "run", or "method" to take runs of the same method and settings with other training seeds as one method.
        target: What errors and tests are about, a name in `aurac.statistics.seeds.TARGETS`: "docs" (these adapters, new
            documents), the only one for single runs; "docs+seeds" (the method), the default for methods.
        baseline: Name or method of the run to compare with; by default the first.
        tasks: Which tasks; by default all that every run has.
        axis: As for `aurac.compute`.
        rule: As for `aurac.compute`.
        confidence_level: Of all intervals; places are told apart at the level that belongs to it.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.
        allow: Signature keys that may differ between runs ("shots", "task"); the tables then say so.

    Raises:
        ComparisonError: If tasks, ranks, metrics, shots or documents do not fit, or a method has too few seeds; the
            message says which.
        UnknownNameError: For a baseline, task, target or signature key that does not exist.
    """
    check_name("row of a comparison", by, BY)
    members = _members(runs, by)
    target = check_target(members, by if not isinstance(runs, Mapping) else "method", target)
    settings, allowed = Settings(axis, rule, confidence_level, n_resamples, seed, target), check_allowed(allow)
    every = [run for group in members.values() for run in group]
    names, notes = common_tasks(every, tasks)
    chosen = find_baseline(members, baseline)
    results: dict[tuple[str, str], Result] = {}
    pairs: dict[str, Pairwise] = {}
    curves: dict[str, dict[str, RankAccuracyCurve]] = {}
    for task in names:
        joined = join(every, task, options=settings.area, allow=allowed)
        notes += joined.notes
        curves[task] = {
            name: pool(name, group, [joined.curves[run.name] for run in group]) for name, group in members.items()
        }
        if joined.paired and len(members) > 1 and settings.target != "benchmark":
            pairs[task] = _pairs(curves[task], chosen, settings)
        for name, curve in curves[task].items():
            score = compute(curve, **settings.area, confidence_level=confidence_level, target=target)
            difference = pairs[task].differences[name, chosen] if task in pairs and name != chosen else None
            results[name, task] = Result(
                score.value, score.value_linear, score.stderr, score.interval, score, difference
            )
    if len(names) > 1:
        notes += _add_macro(results, pairs, curves, chosen, settings)
    notes += flat_notes(results, curves, chosen, alpha=settings.alpha, target=target, macro=MACRO)
    rows = tuple(as_run(name, group, {task: curves[task][name] for task in names}) for name, group in members.items())
    return Comparison(rows, names, chosen, _with_holm(results), tuple(dict.fromkeys(notes)), pairs, settings)


def _members(
    runs: Sequence[Run | str | PathLike[str]] | Mapping[str, Sequence[Run | str | PathLike[str]]], by: str
) -> dict[str, list[Run]]:
    """Return name of each row -> its runs, all of distinct names."""
    groups = list(runs.values()) if isinstance(runs, Mapping) else [runs]
    if not groups or any(isinstance(group, str) or not group for group in groups):
        raise ComparisonError("there is nothing to compare. Give a list of runs, or one for every method.")
    loaded = distinct([run if isinstance(run, Run) else load(run) for group in groups for run in group])
    if isinstance(runs, Mapping):
        rest = iter(loaded)
        return {name: [next(rest) for _ in group] for name, group in runs.items()}
    return by_method(loaded) if by == "method" else {run.name: [run] for run in loaded}


def _pairs(curves: Mapping[str, RankAccuracyCurve], baseline: str, settings: Settings) -> Pairwise:
    """Return the tests of all pairs; the baseline comes last, so that it is the subtrahend of all its pairs."""
    order = [*(name for name in curves if name != baseline), baseline]
    options: dict[str, Any] = {"target": settings.target, "confidence_level": settings.confidence_level}
    if settings.target == "docs":
        options |= {"n_resamples": settings.n_resamples}
    return pairwise({name: curves[name] for name in order}, seed=settings.seed, **settings.area, **options)


def _add_macro(
    results: dict[tuple[str, str], Result],
    pairs: dict[str, Pairwise],
    curves: Mapping[str, Mapping[str, RankAccuracyCurve]],
    baseline: str,
    settings: Settings,
) -> list[str]:
    """Add the mean over tasks, where the metrics have one; otherwise return a note that says why not."""
    first = [by_name[baseline] for by_name in curves.values()]
    if not all(curve.bounded and curve.higher_is_better for curve in first):
        return ["no mean over tasks: their metrics have different units or directions."]
    names = list(curves[next(iter(curves))])
    values = {name: math.fsum(results[name, task].value for task in curves) / len(curves) for name in names}
    if all(task in pairs for task in curves):
        pairs[MACRO] = _macro_pairs(values, pairs, curves, settings)
    for name in names:
        parts = [results[name, task] for task in curves]
        linear = [part.value_linear for part in parts if part.value_linear is not None]
        error, interval = _macro_error(parts, [by_name[name] for by_name in curves.values()], settings)
        results[name, MACRO] = Result(
            value=values[name],
            value_linear=math.fsum(linear) / len(parts) if len(linear) == len(parts) else None,
            stderr=None if error is None else error.stderr,
            interval=interval,
            score=None,
            difference=pairs[MACRO].differences.get((name, baseline)) if MACRO in pairs else None,
        )
    return []


def _macro_error(
    parts: Sequence[Result], curves: Sequence[RankAccuracyCurve], settings: Settings
) -> tuple[Estimate, Interval] | tuple[None, None]:
    """Return the mean over tasks with its error, and its interval; None where a task has none."""
    if any(part.stderr is None for part in parts):
        return None, None
    level = settings.confidence_level
    if settings.target == "docs":
        counts = [curve.n_documents or 0 for curve in curves]
        estimates = [Estimate(part.value, part.stderr or 0.0, n - 1) for part, n in zip(parts, counts, strict=True)]
        return macro_mean(estimates), macro_interval(estimates, counts, confidence_level=level)
    rank_weights = [weights(curve.ranks, **settings.area) for curve in curves]
    made = method_score(curves, rank_weights, target=settings.target)
    estimate = Estimate(made.value, made.stderr, made.df)
    return estimate, t_interval(estimate, confidence_level=level, target=settings.target)


def _macro_pairs(
    values: Mapping[str, float],
    pairs: Mapping[str, Pairwise],
    curves: Mapping[str, Mapping[str, RankAccuracyCurve]],
    settings: Settings,
) -> Pairwise:
    """Return the tests of all pairs on the mean over tasks."""
    level: dict[str, Any] = {"confidence_level": settings.confidence_level}

    def difference(a: str, b: str) -> PairedDifference:
        if settings.target == "docs":
            parts, rng = [pairs[task].differences[a, b] for task in curves], np.random.default_rng(settings.seed)
            return macro_difference(parts, rng=rng, n_resamples=settings.n_resamples, **level)
        first, second = ([by_name[name] for by_name in curves.values()] for name in (a, b))
        return method_contrast(first, second, target=settings.target, **settings.area, **level)

    differences = {(a, b): difference(a, b) for a, b in pairs[next(iter(curves))].differences}
    adjusted = holm([d.p_value for d in differences.values()])
    return Pairwise(dict(values), differences, dict(zip(differences, adjusted, strict=True)), True)


def _with_holm(results: dict[tuple[str, str], Result]) -> dict[tuple[str, str], Result]:
    adjusted = dict(results)
    for task in dict.fromkeys(task for _, task in results):
        family = [key for key in results if key[1] == task and results[key].difference is not None]
        p_values = holm([d.p_value for key in family if (d := results[key].difference) is not None])
        adjusted |= {key: replace(results[key], p_holm=p) for key, p in zip(family, p_values, strict=True)}
    return adjusted
