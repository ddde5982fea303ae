"""The Pareto front of score against cost that the documents show: errors of points, and paired tests between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aurac.errors import CurveError
from aurac.results import Run
from aurac.statistics.contrast import infer
from aurac.statistics.estimate import Interval
from aurac.statistics.intervals import t_interval
from aurac.statistics.paired import sample_of
from aurac.statistics.sample import Sample, inputs_of, mean_of
from aurac.statistics.score_interval import score_interval


@dataclass(frozen=True)
class Point:
    """One rank of one run: its size (parameters, the rank where they are unknown, or a time) and its score.

    Attributes:
        interval: Of this score alone, over documents; None where they are not known.
    """

    run: str
    rank: int
    size: float
    score: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Front:
    """Points from the smallest on, each better than the one before.

    Attributes:
        steps: The points, each with the names of the runs that it stands for: the best one first, then those that the
            tests cannot tell apart from it at the same size.
        tested: Whether every step is shown by a test; else the points are estimates, of which the best are lucky.
    """

    steps: tuple[tuple[Point, tuple[str, ...]], ...]
    tested: bool


def pareto_front(points: Sequence[Point], *, higher_is_better: bool = True) -> list[Point]:
    """Return the points that no point of at most their size reaches, from the smallest on; estimates, no tests.

    Example:
        >>> points = [Point("a", 1, 10, 0.4), Point("a", 2, 20, 0.3), Point("b", 1, 20, 0.6), Point("b", 2, 40, 0.6)]
        >>> [(p.run, p.size) for p in pareto_front(points)]
        [('a', 10), ('b', 20)]
    """
    sign = 1 if higher_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.size, -sign * p.score)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def points_of(run: Run, costs: Mapping[int, float], tasks: Sequence[str], *, confidence_level: float) -> list[Point]:
    """Return one point a rank; several tasks count with their mean.

    Raises:
        CurveError: If the tasks have no mean.
    """
    curves = [run.curve(name) for name in tasks]
    if len(curves) > 1 and not all(curve.bounded and curve.higher_is_better for curve in curves):
        raise CurveError(
            "the tasks have metrics of different units or directions, which have no mean. Choose with tasks=."
        )
    ranks = sorted(set.intersection(*(set(curve.ranks) for curve in curves)))
    return [
        Point(
            run.name,
            rank,
            costs[rank],
            float(np.mean([curve.accuracy_at(rank) for curve in curves])),
            _interval(run, rank, tasks, confidence_level),
        )
        for rank in ranks
    ]


def shown_front(runs: Sequence[Run], points: Sequence[Point], tasks: Sequence[str], *, alpha: float = 0.05) -> Front:
    """Return the front with only those steps up that the documents show.

    A point is a step where it is better than the step before it by a paired test on common documents, at `alpha`
    divided by the number of points (Bonferroni), since the best of many points is looked for. Where documents are not
    known the front is made of estimates.
    """
    curves = [run.curve(task) for run in runs for task in tasks]
    higher = curves[0].higher_is_better
    by_name = {run.name: run for run in runs}
    if any(curve.scores is None or curve.documents is None for curve in curves):
        return Front(tuple((p, (p.run,)) for p in pareto_front(points, higher_is_better=higher)), False)
    level, sign = alpha / max(1, len(points) - 1), 1 if higher else -1

    def differ(a: Point, b: Point) -> bool:
        p_value = _p_value(by_name[a.run], a.rank, by_name[b.run], b.rank, tasks)
        return p_value is not None and p_value <= level

    steps: list[Point] = []
    for point in sorted(points, key=lambda p: (p.size, -sign * p.score)):
        if not steps or (sign * point.score > sign * steps[-1].score and differ(point, steps[-1])):
            steps.append(point)
    twins = [[p for p in points if p.size == step.size and p.run != step.run] for step in steps]
    return Front(
        tuple(
            (step, (step.run, *(p.run for p in others if not differ(step, p))))
            for step, others in zip(steps, twins, strict=True)
        ),
        True,
    )


def _interval(run: Run, rank: int, tasks: Sequence[str], confidence_level: float) -> Interval | None:
    samples = []
    for task in tasks:
        curve = run.curve(task)
        if curve.scores is None or len(curve.scores) < 2:
            return None
        one = curve.select_ranks([rank])
        strata = None if one.strata is None else one.strata.labels
        samples.append(Sample(one.measured()[:, 0], one.clusters, one.bounded, strata=strata))
    if all(sample.bounded for sample in samples):
        return score_interval(inputs_of(samples, bounds=(0.0, 1.0)), confidence_level=confidence_level)
    return t_interval(mean_of(samples), confidence_level=confidence_level)


def _p_value(a: Run, a_rank: int, b: Run, b_rank: int, tasks: Sequence[str]) -> float | None:
    """Return the two-sided p-value of the paired difference of two points; None without two common documents."""
    samples = []
    for task in tasks:
        one, two = a.curve(task).select_ranks([a_rank]), b.curve(task).select_ranks([b_rank])
        known = set(two.documents or ())
        common = [key for key in one.documents or () if key in known]
        if len(common) < 2:
            return None
        one, two = one.select_documents(common), two.select_documents(common)
        samples.append(sample_of(one, two, np.ones(1), one.clusters or two.clusters))
    return infer(samples)[1][1]
