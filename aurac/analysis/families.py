"""Which tests are adjusted together: those on one task, or on all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aurac.analysis.compared import Result
from aurac.statistics.multiplicity import holm
from aurac.statistics.pairwise import Pairwise

FAMILIES = ("task", "all")
"""What a p-value is adjusted over; the mean over tasks is a family of its own in both."""

Key = tuple[str, str]


def with_families(
    results: Mapping[Key, Result], pairs: Mapping[str, Pairwise], family: str, macro: str
) -> tuple[dict[Key, Result], dict[str, Pairwise]]:
    """Return results and tests of all pairs with p-values adjusted over their families (Holm 1979)."""
    tasks = list(dict.fromkeys(task for _, task in results))
    groups = [[task] for task in tasks]
    if family == "all":
        groups = [[task for task in tasks if task != macro], *([macro] for task in tasks if task == macro)]
    adjusted, made = dict(results), dict(pairs)
    for group in groups:
        known = {key: r.difference.p_value for key, r in results.items() if key[1] in group and r.difference}
        adjusted |= {key: replace(results[key], p_holm=p) for key, p in _holm(known).items()}
        p_values = {(task, pair): d.p_value for task in group if task in pairs
                    for pair, d in pairs[task].differences.items()}  # fmt: skip
        over_all = _holm(p_values)
        for task in group:
            if task in pairs:
                mine = {pair: p for (name, pair), p in over_all.items() if name == task}
                made[task] = replace(pairs[task], p_adjusted=mine)
    return adjusted, made


def _holm(p_values: Mapping[Any, float | None]) -> dict[Any, float]:
    known = {key: p for key, p in p_values.items() if p is not None}
    return dict(zip(known, holm(list(known.values())), strict=True))
