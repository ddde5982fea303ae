"""Tests of all pairs of rows on one task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurac.analysis.settings import Settings
from aurac.curve.curve import RankAccuracyCurve
from aurac.statistics.pairwise import Pairwise, pairwise


def all_pairs(curves: Mapping[str, RankAccuracyCurve], baseline: str, settings: Settings) -> Pairwise:
    """Return the tests of all pairs; the baseline comes last, so that it is the subtrahend of all its pairs."""
    order = [*(name for name in curves if name != baseline), baseline]
    options: dict[str, Any] = {"target": settings.target, "confidence_level": settings.confidence_level}
    if settings.target == "docs":
        options |= {"n_resamples": settings.n_resamples, "test": "auto"}
    return pairwise({name: curves[name] for name in order}, seed=settings.seed, **settings.area, **options)
