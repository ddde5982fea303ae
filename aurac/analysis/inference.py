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
from aurac.statistics.intervals import estimate_mean, mean_interval, per_document
from aurac.statistics.over_seeds import method_interval, method_score


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
        scores = curve.scores
        if scores is None or len(scores) < 2 or self.target == "benchmark":
            return None, None
        if (self.target or ("docs" if curve.seeds is None else "docs+seeds")) != "docs":
            return self._over_seeds(curve, w)
        a = per_document(scores, w)
        options: dict[str, Any] = {"ci": self.ci, "clusters": self.clusters, "bounded": curve.bounded, "rng": self.rng}
        interval = mean_interval(a, confidence_level=self.confidence_level, **options)
        return estimate_mean(a, clusters=self.clusters), interval

    def _over_seeds(self, curve: RankAccuracyCurve, w: Vector) -> tuple[Estimate, Interval]:
        if self.ci != "auto":
            raise CurveError("an error over seeds has an interval of its own. Leave ci= out, or ask for target='docs'.")
        if self.clusters is not None and self.clusters is not curve.clusters:
            curve = curve.clustered([str(label) for label in self.clusters])
        made = method_score([curve], [w], target=self.target or "docs+seeds")
        interval = method_interval(made, [curve], [w], confidence_level=self.confidence_level)
        return Estimate(made.value, made.stderr, made.df), interval

    def signed(self, interval: Interval | None) -> dict[str, str]:
        """Return the part of the signature that moves only the error bar."""
        if interval is None:
            return {}
        said = {"ci": f"{interval.method}{self.confidence_level * 100:g}", "target": interval.target}
        return said if self.clusters is None else {**said, "clusters": str(len(set(self.clusters)))}
