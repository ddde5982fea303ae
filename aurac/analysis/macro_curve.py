"""The mean over tasks as a curve of its own: the mean at every rank, whose area is AURAC on the mean over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.part import Part
from aurac.curve.seeds import SeedScores
from aurac.curve.strata import Strata, linearised
from aurac.results import Run


def with_macro(compared: ComparedRuns) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """Return runs and tasks to draw: the mean over tasks, where there is one at every rank, stands before the tasks."""
    curves = {run.name: [compared.score(run.name, task).curve for task in compared.tasks] for run in compared.runs}
    if compared.headline != MACRO or any(len({c.ranks for c in each}) > 1 for each in curves.values()):
        return compared.runs, compared.tasks
    runs = [replace(run, curves={**run.curves, MACRO: macro_curve(curves[run.name])}) for run in compared.runs]
    return tuple(runs), (MACRO, *compared.tasks)


def macro_curve(curves: Sequence[RankAccuracyCurve]) -> RankAccuracyCurve:
    """Return the unweighted mean over tasks at every rank, with the tasks as strata so that its errors hold them fixed.

    Where a task has no per-document scores, or is itself a mean over tasks, the mean has none either.

    Args:
        curves: One a task, of fractions, on the same ranks.

    Example:
        >>> one, other = (RankAccuracyCurve.from_scores([1, 2], [[a, 1.0], [a, 1.0]]) for a in (0.0, 0.5))
        >>> macro_curve([one, other])
        RankAccuracyCurve({1: 0.25, 2: 1}, 4 documents)
    """
    first, bases = curves[0], [curve.base for curve in curves if curve.base is not None]
    about: dict[str, Any] = {
        "task": MACRO,
        "metric": " / ".join(sorted({curve.metric or "accuracy" for curve in curves})),
        "name": first.name,
        "unit": first.unit,
        "base": float(np.mean(bases)) if len(bases) == len(curves) else None,
    }
    known = [curve.scores for curve in curves if curve.scores is not None]
    if len(known) < len(curves) or any(curve.strata is not None for curve in curves):
        return RankAccuracyCurve(first.ranks, np.mean([curve.accuracies for curve in curves], axis=0), **about)
    labels = tuple(str(number) for number, scores in enumerate(known) for _ in scores)
    strata = Strata(labels, np.concatenate(known))
    return RankAccuracyCurve.from_scores(
        first.ranks,
        strata.linearised(),
        strata=strata,
        seeds=_seeds(curves, labels),
        clusters=_clusters(curves),
        part=_part(curves),
        **about,
    )


def _seeds(curves: Sequence[RankAccuracyCurve], labels: Sequence[str]) -> SeedScores | None:
    """Return the scores of every seed, linearised as their mean is; None where the tasks have other seeds."""
    known = [curve.seeds for curve in curves if curve.seeds is not None]
    if len(known) < len(curves) or len({(seeds.labels, seeds.unit) for seeds in known}) > 1:
        return None
    values = linearised(np.concatenate([seeds.values for seeds in known]), labels)
    return SeedScores(values, known[0].labels, known[0].unit)


def _clusters(curves: Sequence[RankAccuracyCurve]) -> list[str] | None:
    """Return the passages of all tasks, none shared between two; where a task has none, each document stands alone."""
    if all(curve.clusters is None for curve in curves):
        return None
    return [
        f"{number}/{label}"
        for number, curve in enumerate(curves)
        for label in curve.clusters or map(str, range(curve.n_documents or 0))
    ]


def _part(curves: Sequence[RankAccuracyCurve]) -> Part | None:
    """Return what was asked of all tasks together; None where all documents were."""
    if all(curve.part is None for curve in curves):
        return None
    parts = [curve.part or Part(curve.n_documents or 0, curve.n_documents or 0) for curve in curves]
    anchors = [part.anchor for part in parts if part.anchor is not None]
    return Part(
        sum(part.n_total for part in parts),
        sum(part.n_asked for part in parts),
        anchor=anchors[0] if anchors else None,
    )
