"""The error of one score: over documents, or over documents and seeds, and the interval that belongs to it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.factors import widest_target
from aurac.statistics.intervals import estimate_mean, mean_interval, per_document, t_interval
from aurac.statistics.over_seeds import method_interval, method_score
from aurac.statistics.part_of_documents import estimate_part


def own_target(curve: RankAccuracyCurve, clusters: Sequence[Hashable] | None) -> str:
    """Return the target of a curve for which none was asked: what its documents and seeds were chosen for.

    A part of the documents that `--precision` chose is about the whole benchmark; not where passages are named later,
    of which it is no random part.
    """
    counted = curve.part is not None and not curve.part.is_audit and clusters is None
    return "benchmark" if counted and curve.seeds is None else widest_target([curve])


@dataclass(frozen=True)
class Inference:
    """How the error of a score is found; the arguments of `compute` of the same names."""

    confidence_level: float
    ci: str
    clusters: Sequence[Hashable] | None
    rng: np.random.Generator | None
    target: str | None

    def of(self, curve: RankAccuracyCurve, w: Vector) -> tuple[Estimate | None, Interval | None]:
        """Return the score with its error, and its interval; None where nothing is random or no document is known."""
        scores, target = curve.scores, self.target or own_target(curve, self.clusters)
        if scores is None or len(scores) < 2:
            return None, None
        if target == "benchmark":
            return self._of_benchmark(curve, w)
        if target != "docs":
            return self._over_seeds(curve, w)
        a = per_document(scores, w)
        options: dict[str, Any] = {"ci": self.ci, "clusters": self.clusters, "bounded": curve.bounded, "rng": self.rng}
        interval = mean_interval(a, confidence_level=self.confidence_level, **options)
        return estimate_mean(a, clusters=self.clusters), interval

    def _of_benchmark(self, curve: RankAccuracyCurve, w: Vector) -> tuple[Estimate | None, Interval | None]:
        """Return the error of a part of the benchmark's documents, for all of them; None where all were asked."""
        part, scores = curve.part, curve.scores
        if part is None or part.is_audit or scores is None or len(scores) == part.n_total:
            return None, None
        if self.clusters is not None:
            raise CurveError(
                "a random part of the documents is no random part of their passages, so it has no error about the "
                "whole benchmark. Leave clusters out, or ask for target='docs'."
            )
        if self.ci not in ("auto", "t"):
            raise CurveError(f"ci={self.ci!r} is about new documents. Leave ci= out, or ask for target='docs'.")
        estimate = estimate_part(per_document(scores, w), part.n_total)
        if estimate.stderr == 0:  # where nothing varies, t would claim certainty
            interval = mean_interval(
                per_document(scores, w), confidence_level=self.confidence_level, bounded=curve.bounded
            )
            return estimate, interval
        return estimate, t_interval(estimate, confidence_level=self.confidence_level, target="benchmark")

    def _over_seeds(self, curve: RankAccuracyCurve, w: Vector) -> tuple[Estimate, Interval]:
        if self.ci != "auto":
            raise CurveError(
                "an error over seeds or draws of examples has an interval of its own. Leave ci= out, or ask for "
                "target='docs'."
            )
        if self.clusters is not None and self.clusters is not curve.clusters:
            curve = curve.clustered([str(label) for label in self.clusters])
        made = method_score([curve], [w], target=self.target or widest_target([curve]))
        interval = method_interval(made, [curve], [w], confidence_level=self.confidence_level)
        return Estimate(made.value, made.stderr, made.df), interval

    def signed(self, interval: Interval | None) -> dict[str, str]:
        """Return the part of the signature that moves only the error bar."""
        if interval is None:
            return {}
        said = {"ci": f"{interval.method}{self.confidence_level * 100:g}", "target": interval.target}
        return said if self.clusters is None else {**said, "clusters": str(len(set(self.clusters)))}
