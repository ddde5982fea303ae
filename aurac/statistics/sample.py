"""Per-document values of a task, with what says how sure their mean is: passages, and tasks within a group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from aurac.curve.strata import linearised as by_task
from aurac.quadrature import Vector
from aurac.statistics.clusters import sums
from aurac.statistics.estimate import Estimate
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.macro import macro_mean
from aurac.statistics.score_interval import ScoreInputs, score_inputs


@dataclass(frozen=True, eq=False)
class Sample:
    """Per-document values of one task: scores, losses, or differences of two scores.

    Attributes:
        values: As measured, shape (n,).
        clusters: One label a document where documents share a passage, else None.
        bounded: Whether scores lie in [0, 1], and hence differences in [-1, 1].
        levels: Scores that tell whether a t interval is rough; the two that differ.
        strata: For a group that is averaged by task, the task of each document, else None.
        counts: Whether values are those of single documents, not expanded from an audit, so that wins can be counted.
    """

    values: Vector
    clusters: Sequence[Hashable] | None = None
    bounded: bool = True
    levels: tuple[float, ...] = ()
    strata: Sequence[str] | None = None
    counts: bool = True

    @property
    def estimate(self) -> Estimate:
        """The mean with its error."""
        values = self.values if self.strata is None else by_task(self.values, self.strata)
        return estimate_mean(values, clusters=self.clusters)

    def parts(self) -> list[Sample]:
        """Return one part for each of its tasks."""
        if self.strata is None:
            return [self]
        names = dict.fromkeys(self.strata)
        rows = [[i for i, label in enumerate(self.strata) if label == name] for name in names]
        labels = self.clusters
        return [
            Sample(self.values[r], None if labels is None else [labels[i] for i in r], self.bounded, self.levels)
            for r in rows
        ]

    def sums(self) -> Vector:
        """Return the values, or their sum in each cluster, weighted as in the mean: what is flipped as a whole."""
        parts = self.parts()
        weighted = [part.values / (len(parts) * len(part.values)) for part in parts]
        if self.clusters is not None:
            weighted = [sums(w, part.clusters or ()) for w, part in zip(weighted, parts, strict=True)]
        return np.concatenate(weighted)


def mean_of(samples: Sequence[Sample]) -> Estimate:
    """Return the unweighted mean over tasks with its error."""
    parts = [sample.estimate for sample in samples]
    return parts[0] if len(parts) == 1 else macro_mean(parts)


def inputs_of(samples: Sequence[Sample], *, bounds: tuple[float, float] = (-1.0, 1.0)) -> ScoreInputs:
    """Return the values of all tasks for a score test, weighted as in the mean over tasks."""
    tasks = [sample.parts() for sample in samples]
    weights = [1 / len(tasks) / len(parts) for parts in tasks for _ in parts]
    every = [part for parts in tasks for part in parts]
    values, clusters = [part.values for part in every], [part.clusters for part in every]
    return score_inputs(values, clusters, weights=weights, bounds=bounds)
