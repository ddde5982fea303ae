"""`compare`: several runs on the same documents, against a baseline and with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike

from aurac.analysis.compared import MACRO, ComparedRuns, Result
from aurac.analysis.compute import compute
from aurac.analysis.cost_axes import common_axis
from aurac.analysis.equality import equivalences
from aurac.analysis.families import FAMILIES, with_families
from aurac.analysis.flat import flat_notes
from aurac.analysis.grouping import BY, as_run, by_method, check_target, pool
from aurac.analysis.joining import check_allowed, common_tasks, distinct, find_baseline, join
from aurac.analysis.macro import add_macro
from aurac.analysis.other_axis import with_other_axis
from aurac.analysis.pairs import all_pairs
from aurac.analysis.part_notes import part_notes
from aurac.analysis.passages import by_field
from aurac.analysis.path_notes import path_notes
from aurac.analysis.settings import Settings
from aurac.analysis.units import in_one_unit
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError
from aurac.results import Run, load
from aurac.statistics.equivalence import check_margin
from aurac.statistics.pairwise import Pairwise
from aurac.statistics.refused import check_name

_TWO_SEEDS = (
    "Two training seeds make no test between methods: their error has one or two degrees of freedom, and the interval "
    "is as wide as that. Train and score at least 3 of each method."
)
_TWO_DRAWS = (
    "Two draws of few-shot examples make no test: their error has one degree of freedom, and the interval is as wide "
    "as that. Score with at least 3 (--fewshot-seeds 1,2,3), or ask about these examples (--target docs)."
)


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
    ranks: str | None = None,
    family: str = "task",
    margin: float | None = None,
    cluster: str | None = None,
) -> ComparedRuns:
    """Compare runs with a baseline, and with each other, on the documents that all of them have.

    Args:
        runs: Runs or paths of run records, at least one; or a mapping of method name to its runs, one a training seed.
        by: "run", or "method" to take runs of the same method and settings with other training seeds as one method.
        target: What errors and tests are about, a name in `aurac.statistics.seeds.TARGETS`: "docs" (these adapters, new
            documents), "docs+seeds" (the method), the default for methods; with "+prompts" also newly drawn few-shot
            examples, the default where all runs were scored under several draws.
        baseline: Name or method of the run to compare with; by default the first.
        tasks: Which tasks; by default all that every run has. "arc:gold_nll" takes another recorded metric of a task.
        axis: As for `aurac.compute`; a cost has to be the same for all runs, and times are their mean.
        rule: As for `aurac.compute`.
        confidence_level: Of all intervals; places are told apart at the level that belongs to it.
        n_resamples: Sign patterns of the sign-flip test, where they cannot all be enumerated.
        seed: Of those patterns.
        allow: Signature keys that may differ between runs ("shots", "task"); the tables then say so.
        ranks: "common" to compare on the ranks that all runs have; by default different ranks are an error.
        family: What p-values are adjusted over: "task" (the rows compared on a task) or "all" (over all tasks too).
        margin: Also test whether each run equals the baseline within this difference, a fraction.
        cluster: Field of the tasks' documents that the records were scored with, such as "passage"; "none" takes every
            document for itself. By default what the records say.

    Raises:
        ComparisonError: If tasks, ranks, metrics, shots or documents do not fit, or a method has too few seeds; the
            message says which.
        UnknownNameError: For a baseline, task, target or signature key that does not exist.
    """
    check_name("row of a comparison", by, BY)
    members = _members(runs, by, cluster, tasks or ())
    own = target is None and sum(map(len, members.values())) == 1  # a run alone: each task has its own target
    target = check_target(members, by if not isinstance(runs, Mapping) else "method", target)
    along = common_axis(axis, [as_run(name, group, group[0].curves) for name, group in members.items()])
    check_name("family of tests", family, FAMILIES)
    settings = Settings(axis, rule, confidence_level, n_resamples, seed, target, along, family)
    allowed = check_allowed(allow)
    chosen, every = find_baseline(members, baseline), [run for group in members.values() for run in group]
    names, notes = common_tasks(every, tasks)
    joined = {task: join(every, task, options=settings.area, allow=allowed, ranks=ranks) for task in names}
    curves = {task: _pooled(members, found.curves) for task, found in joined.items()}
    tested = [task for task in names if joined[task].paired and len(members) > 1 and target != "benchmark"]
    pairs = {task: all_pairs(curves[task], chosen, settings) for task in tested}
    results = _results(curves, pairs, chosen, settings, own=own)
    notes += [note for found in joined.values() for note in found.notes]
    if len(names) > 1:
        notes += add_macro(results, pairs, curves, chosen, settings)
    notes += part_notes(results, curves)
    notes += flat_notes(results, curves, chosen, alpha=settings.alpha, target=target, macro=MACRO)
    notes += path_notes(every, names)
    if any(r.difference is not None and r.difference.p_value is None for r in results.values()):
        notes.append(_TWO_SEEDS if "seeds" in target and min(map(len, members.values())) == 2 else _TWO_DRAWS)
    rows = tuple(as_run(name, group, {task: curves[task][name] for task in names}) for name, group in members.items())
    adjusted, family_pairs = with_families(results, pairs, family, MACRO)
    made = ComparedRuns(rows, names, chosen, adjusted, tuple(dict.fromkeys(notes)), family_pairs, settings)
    if margin is not None:
        bounded = any(curve.bounded for by_name in curves.values() for curve in by_name.values())
        made = replace(made, equal_within=equivalences(made, check_margin(margin, bounded=bounded)))
    return with_other_axis(made, curves)


def _members(
    runs: Sequence[Run | str | PathLike[str]] | Mapping[str, Sequence[Run | str | PathLike[str]]],
    by: str,
    cluster: str | None,
    tasks: Sequence[str],
) -> dict[str, list[Run]]:
    """Return name of each row -> its runs, all of distinct names."""
    groups = list(runs.values()) if isinstance(runs, Mapping) else [runs]
    if single := next((group for group in groups if isinstance(group, (str, PathLike, Run))), None):
        name = single.name if isinstance(single, Run) else str(single)
        raise ComparisonError(f"{name} is one run, not a list of them. Give a list of runs, or one for every method.")
    if not groups or not all(groups):
        raise ComparisonError("there is nothing to compare. Give a list of runs, or one for every method.")
    given = [run if isinstance(run, Run) else load(run) for group in groups for run in group]
    loaded = in_one_unit(by_field(distinct([run.with_metrics(tasks) for run in given]), cluster))
    if isinstance(runs, Mapping):
        rest = iter(loaded)
        return {name: [next(rest) for _ in group] for name, group in runs.items()}
    return by_method(loaded) if by == "method" else {run.name: [run] for run in loaded}


def _pooled(
    members: Mapping[str, Sequence[Run]], curves: Mapping[str, RankAccuracyCurve]
) -> dict[str, RankAccuracyCurve]:
    """Return name of each row -> its curve, of a method the mean over its seeds."""
    return {name: pool(name, group, [curves[run.name] for run in group]) for name, group in members.items()}


def _results(
    curves: Mapping[str, Mapping[str, RankAccuracyCurve]],
    pairs: Mapping[str, Pairwise],
    baseline: str,
    settings: Settings,
    *,
    own: bool,
) -> dict[tuple[str, str], Result]:
    """Return (name of a row, task) -> its score, and its difference to the baseline where it was tested."""
    results = {}
    for task, by_name in curves.items():
        for name, curve in by_name.items():
            target = None if own else settings.target
            score = compute(curve, **settings.area, confidence_level=settings.confidence_level, target=target)
            difference = pairs[task].differences[name, baseline] if task in pairs and name != baseline else None
            results[name, task] = Result(
                score.value, score.value_linear, score.stderr, score.interval, score, difference
            )
    return results
