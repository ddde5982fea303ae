"""What runs have in common: names, tasks, documents; and whether their scores are the same kind of number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aurac.analysis.comparability import MEANINGS
from aurac.analysis.compute import compute
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.results import Run
from aurac.results.files import NESTED, NESTED_BUDGETS
from aurac.statistics.alignment import align
from aurac.statistics.refused import check_name

_MAY_DIFFER = {"n", "docs", "part"}


@dataclass(frozen=True)
class Joined:
    """The runs' curves of one task.

    Attributes:
        curves: Run name -> curve, on the common documents where `paired`.
        paired: Whether documents are joined, so that differences can be tested.
        notes: What a reader has to know about the join.
    """

    curves: Mapping[str, RankAccuracyCurve]
    paired: bool
    notes: tuple[str, ...]


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Return the runs; those of the same name are called by the end of their path, which tells them apart."""
    names = [run.name for run in runs]
    clash = [run for run in runs if names.count(run.name) > 1]
    for run in clash:
        if run.path is None or sum(other.path == run.path for other in clash) > 1:
            raise ComparisonError(f"run {run.name!r} was given twice. Give each run once.")
    parts = next((k for k in range(2, 99) if len({_end(run, k) for run in clash}) == len(clash)), 99)
    return [replace(run, name=_end(run, parts)) if any(run is other for other in clash) else run for run in runs]


def _end(run: Run, parts: int) -> str:
    """Return the last parts of the run's path, without the folder that every scored adapter has inside it."""
    assert run.path is not None
    path = run.path.parent if run.path.name in (NESTED, NESTED_BUDGETS) else run.path
    return "/".join(path.parts[-parts:])


def common_tasks(runs: Sequence[Run], tasks: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """Return the tasks that every run has, and one note for each that only some have."""
    if tasks is not None:
        for run in runs:
            for task in tasks:
                if task not in run.tasks:
                    raise UnknownNameError("task", task, run.tasks, of=f"in run {run.name!r}")
        return tuple(tasks), []
    every = list(dict.fromkeys(task for run in runs for task in (*run.tasks, *run.problems)))
    common = [task for task in every if all(task in run.tasks for run in runs)]
    if not common:
        listed = "; ".join(f"{run.name}: {', '.join(run.tasks) or 'none'}" for run in runs)
        problems = " ".join(f"{run.name}: {text}" for run in runs for text in run.problems.values())
        raise ComparisonError(
            f"the runs have no task in common ({listed}). Score them on the same tasks. {problems}".strip()
        )
    return tuple(common), [_left_out(runs, task) for task in every if task not in common]


def find_baseline(members: Mapping[str, Sequence[Run]], baseline: str | None) -> str:
    """Return the name of the row of this name, or of the only row of this method; by default of the first row."""
    if baseline is None:
        return next(iter(members))
    if baseline in members:
        return baseline
    of_method = [name for name, group in members.items() if group[0].method == baseline]
    if len(of_method) == 1:
        return of_method[0]
    raise UnknownNameError("baseline", baseline, members)


def check_allowed(allow: Sequence[str]) -> frozenset[str]:
    """Return the signature keys that may differ, or raise `UnknownNameError` for one that is none."""
    for key in allow:
        if key not in MEANINGS:
            raise UnknownNameError("signature key", key, MEANINGS)
    return frozenset(allow)


def join(
    runs: Sequence[Run], task: str, *, options: Mapping[str, Any], allow: frozenset[str], ranks: str | None = None
) -> Joined:
    """Return each run's curve on the common documents, or on what it has where documents are not known.

    With ranks "common" the curves are those at the ranks that all runs have.

    Raises:
        ComparisonError: If signatures differ in a key that is not allowed to, or no document is common.
    """
    curves, on_ranks = _at_ranks([run.curve(task).named(run.name) for run in runs], task, ranks)
    notes = [*on_ranks, *_differing_keys(curves, task, options, allow)]
    named = {str(curve.name): curve for curve in curves}
    if any(curve.documents is None for curve in curves):
        why = f"{task}: not every run has per-document scores, so there is no paired difference."
        return Joined(named, False, (*notes, why))
    try:
        aligned = align(curves, missing="drop")
    except ComparisonError:
        if len(notes) == len(on_ranks):
            raise
        why = f"{task}: what differs leaves no common documents and ranks, so there is no paired difference."
        return Joined(named, False, (*notes, why))
    n = aligned[0].n_documents or 0
    dropped = max(c.n_documents or 0 for c in curves) - n
    if dropped:
        notes.append(f"{task}: {n} documents that all runs have; up to {dropped} left out.")
    if (clusters := aligned[0].clusters) is not None and len(set(clusters)) > 1:
        notes.append(
            f"{task}: {n} documents share {len(set(clusters))} passages; errors and tests take each passage as a whole."
        )
    if n < 2:
        notes.append(f"{task}: one common document has no spread, so there is no error and no test.")
    return Joined({str(curve.name): curve for curve in aligned}, n > 1, tuple(notes))


def _at_ranks(
    curves: list[RankAccuracyCurve], task: str, ranks: str | None
) -> tuple[list[RankAccuracyCurve], list[str]]:
    """Return the curves at the ranks that were asked for, and a note where some are left out."""
    if ranks is None:
        return curves, []
    check_name("choice of ranks", ranks, ("common",))
    common = sorted(set.intersection(*(set(curve.ranks) for curve in curves)))
    if not common:
        listed = "; ".join(f"{curve.name}: {'-'.join(map(str, curve.ranks))}" for curve in curves)
        raise ComparisonError(f"{task}: the runs have no rank in common ({listed}). Score them at the same ranks.")
    if all(list(curve.ranks) == common for curve in curves):
        return curves, []
    note = f"{task}: compared at the ranks that all runs have, {'-'.join(map(str, common))}; others are left out."
    return [curve.select_ranks(common) for curve in curves], [note]


def _differing_keys(
    curves: Sequence[RankAccuracyCurve], task: str, options: Mapping[str, Any], allow: frozenset[str]
) -> list[str]:
    """Return one note for each key that differs and may; raise for one that may not."""
    first, notes = compute(curves[0], **options).signature, []
    for curve in curves[1:]:
        pair = f"{curves[0].name!r} and {curve.name!r}"
        if (curve.bounded, curve.higher_is_better) != (curves[0].bounded, curves[0].higher_is_better):
            raise ComparisonError(
                f"{pair} have metrics of different units or directions on {task}, {curves[0].metric} and "
                f"{curve.metric}, which have no order. Score both with the same metric."
            )
        for key, (a, b) in first.differences(compute(curve, **options).signature).items():
            if key in allow:
                notes.append(
                    f"{task}: not the same measurement. {key} ({MEANINGS[key]}) is {a} for {curves[0].name}, {b} for "
                    f"{curve.name}; allowed to differ, so a difference is not the adapters' alone."
                )
            elif key not in _MAY_DIFFER:
                raise ComparisonError(
                    f"{pair} are not comparable on {task}: {key} is {a} and {b}. Score both with the same ranks, "
                    f"metric, shots and task version, or allow {key} to differ (--allow {key})."
                    + (" Or compare on the ranks that all have (--ranks common)." if key in ("ranks", "params") else "")
                )
    return notes


def _left_out(runs: Sequence[Run], task: str) -> str:
    lacking = [f"{run.name} ({run.problems[task]})" if task in run.problems else run.name
               for run in runs if task not in run.tasks]  # fmt: skip
    return f"{task} is left out: it is not in {', '.join(lacking)}."
