"""`recommend`: which rank of a run to deploy, for each task, on the mean over tasks, and for every task at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from aurac.analysis.adapter_size import full_rank
from aurac.analysis.adequacy import Adequacy, smallest_rank
from aurac.analysis.compared import MACRO
from aurac.analysis.grouping import as_run, by_method, pool
from aurac.analysis.joining import common_tasks, distinct, join
from aurac.analysis.passages import by_field
from aurac.analysis.recommended import RecommendedRank
from aurac.analysis.units import over_parameters
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.results import Profile, Run, load
from aurac.statistics.equivalence import check_margin
from aurac.statistics.refused import check_name

SIZES = ("rank", "params")
"""What the smallest is looked for of."""


def recommend(
    run: Run | str | PathLike[str] | Sequence[Run | str | PathLike[str]],
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    tasks: Sequence[str] | None = None,
    by: str = "rank",
    parameters: int | None = None,
    n_bytes: int | None = None,
    profile: Profile | None = None,
    cluster: str | None = None,
) -> RecommendedRank:
    """Find the smallest rank that is not worse than full rank by `margin` or more, on each task and on their mean.

    Args:
        run: A run or the path of a run record; or several, the trainings of one method with different seeds: the rank
            is then the one to serve for the next training, with documents and seeds both random.
        margin: Largest acceptable loss; a fraction, 0.01 is one point. In the metric's own unit where it is unbounded.
        alpha: Chance to declare an inadequate rank, at most.
        tasks: Which tasks; by default all that have a curve. "arc:gold_nll" takes another recorded metric of a task.
        by: "rank", or "params" for the smallest number of parameters: a run over ranks is read as one over budgets. A
            run that was scored at budgets is about them in any case.
        parameters: Parameters of the adapter at full rank, for the table of costs.
        n_bytes: Bytes of the adapter at full rank, likewise.
        profile: Times of each rank, likewise.
        cluster: Field that documents share, or "none", as for `compare`.

    Raises:
        CurveError: If margin or alpha are out of range, or no task can be tested; the message says why.
        UnknownNameError: If the run has no such task, or there is no such `by`.
        RecordError: If parameters are asked for, and the weights that were scored are not at hand to count them.
    """
    check_margin(margin)
    check_name("size to recommend by", by, SIZES)
    several = isinstance(run, Sequence) and not isinstance(run, str)
    given = run if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    members = by_field([_loaded(one).with_metrics(tasks or ()) for one in given], cluster)
    loaded = _method(members, tasks) if several else members[0]
    loaded = over_parameters(loaded) if by == "params" else loaded
    notes = [f"{task}: {problem}" for task, problem in loaded.problems.items() if tasks is None]
    curves = {task: loaded.curve(task) for task in (loaded.tasks if tasks is None else tasks)}
    check_margin(margin, bounded=any(curve.bounded for curve in curves.values()))
    tests = _tests(curves, notes, margin, alpha)
    if not tests:
        raise CurveError(f"no rank of run {loaded.name!r} can be recommended. {' '.join(notes) or 'It has no curve.'}")
    size: dict[str, Any] = {"parameters": parameters, "n_bytes": n_bytes, "profile": profile}
    return RecommendedRank(loaded, margin, alpha, tests, full_rank(loaded), notes=tuple(notes), **size)


def _loaded(run: Run | str | PathLike[str]) -> Run:
    return run if isinstance(run, Run) else load(run)


def _method(runs: Sequence[Run], tasks: Sequence[str] | None) -> Run:
    """Return the trainings as one run of curves that hold all seeds."""
    members = distinct(runs)
    if len(members) == 1:
        return members[0]
    names, _ = common_tasks(members, tasks)
    methods = by_method(members)
    if len(methods) > 1:
        raise ComparisonError(
            f"the runs are of {len(methods)} methods or settings ({', '.join(methods)}). Give the trainings of one, "
            "which differ in their seed alone."
        )
    name = next(iter(methods))
    curves = {}
    for task in names:
        joined = join(members, task, options={}, allow=frozenset())
        curves[task] = pool(name, members, [joined.curves[run.name] for run in members])
    return as_run(name, members, curves)


def _tests(
    curves: Mapping[str, RankAccuracyCurve], notes: list[str], margin: float, alpha: float
) -> dict[str, Adequacy]:
    """Return the test of each task and of the mean over all of them; what cannot be tested is added to the notes."""
    tests = {}
    for task, curve in curves.items():
        try:
            tests[task] = smallest_rank(curve, margin=margin, alpha=alpha)
        except CurveError as error:
            notes.append(f"{task} was not tested: {error}")
    if len(tests) == len(curves) > 1:
        try:
            tests[MACRO] = smallest_rank(list(curves.values()), margin=margin, alpha=alpha)
        except ComparisonError as error:
            notes.append(f"no mean over tasks: {error}")
    return tests
