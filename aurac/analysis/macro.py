"""The mean over tasks: its value, its error, and the tests of all pairs on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aurac.analysis.compared import MACRO, Result
from aurac.analysis.settings import Settings
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import weights
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.macro_score import macro_score
from aurac.statistics.multiplicity import holm
from aurac.statistics.over_seeds import method_contrast, method_interval, method_score
from aurac.statistics.paired import PairedDifference, macro_difference
from aurac.statistics.pairwise import Pairwise


def add_macro(
    results: dict[tuple[str, str], Result],
    pairs: dict[str, Pairwise],
    curves: Mapping[str, Mapping[str, RankAccuracyCurve]],
    baseline: str,
    settings: Settings,
) -> list[str]:
    """Add the mean over tasks, where the metrics have one; otherwise return a note that says why not."""
    first = [by_name[baseline] for by_name in curves.values()]
    if not all(curve.bounded and curve.higher_is_better for curve in first):
        return ["no mean over tasks: only metrics from 0 to 1 of which more is better have one."]
    names = list(curves[next(iter(curves))])
    values = {name: math.fsum(results[name, task].value for task in curves) / len(curves) for name in names}
    if all(task in pairs for task in curves):
        pairs[MACRO] = macro_pairs(values, pairs, curves, settings)
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
    level, rank_weights = settings.confidence_level, [weights(curve.ranks, **settings.area) for curve in curves]
    if settings.target == "docs":
        return macro_score(curves, rank_weights, confidence_level=level)
    made = method_score(curves, rank_weights, target=settings.target)
    interval = method_interval(made, curves, rank_weights, confidence_level=level)
    return Estimate(made.value, made.stderr, made.df), interval


def macro_pairs(
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
            return macro_difference(parts, rng=rng, n_resamples=settings.n_resamples, test="auto", **level)
        first, second = ([by_name[name] for by_name in curves.values()] for name in (a, b))
        return method_contrast(first, second, target=settings.target, **settings.area, **level)

    differences = {(a, b): difference(a, b) for a, b in pairs[next(iter(curves))].differences}
    p_values = {pair: d.p_value for pair, d in differences.items() if d.p_value is not None}
    return Pairwise(dict(values), differences, dict(zip(p_values, holm(list(p_values.values())), strict=True)), True)
