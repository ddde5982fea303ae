"""The line under a plot that says where the other axis of ranks gives other places."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns
from aurac.report.plots import style


def elsewhere(comparison: ComparedRuns, task: str) -> str:
    """Return the line with the break before it; nothing where the places are the same, or there are no tests."""
    here, there = comparison.tiers(task), comparison.other_tiers(task)
    if here is None or there is None or here.places == there.places:
        return ""
    return f"\n{comparison.other_axis} axis: other places, {' > '.join(map(style.label, there.order))}"
