"""The same comparison on the other axis of ranks: whether order and significance depend on what counts the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.analysis.families import with_families
from aurac.analysis.macro import macro_pairs
from aurac.analysis.pairs import all_pairs
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RefusedError
from aurac.quadrature import axis_named
from aurac.statistics.pairwise import Pairwise

OTHER = {"log2": "linear", "linear": "log2"}
"""Axis -> the one that a comparison is made on too."""


def with_other_axis(compared: ComparedRuns, curves: Mapping[str, Mapping[str, RankAccuracyCurve]]) -> ComparedRuns:
    """Return the comparison with the tests on the other axis, and a note where they say something else.

    Args:
        compared: On one axis.
        curves: Task -> name of the row -> its curve on the common documents.
    """
    axis = OTHER.get(compared.settings.axis)
    if axis is None or not compared.tests_made():
        return compared
    try:
        pairs = _pairs(compared, curves, axis)
    except RefusedError:
        return compared
    both = replace(compared, other_axis=axis, other_pairs=pairs)
    return replace(both, notes=(*axis_notes(both), *both.notes))


def _pairs(
    compared: ComparedRuns, curves: Mapping[str, Mapping[str, RankAccuracyCurve]], axis: str
) -> dict[str, Pairwise]:
    settings = replace(compared.settings, axis=axis)
    made = {
        task: all_pairs(curves[task], compared.baseline, settings) for task in compared.tasks if task in compared.pairs
    }
    if MACRO in compared.pairs:
        names = list(curves[compared.tasks[0]])
        values = {name: sum(made[task].values[name] for task in compared.tasks) / len(made) for name in names}
        made[MACRO] = macro_pairs(values, made, curves, settings)
    return with_families(compared.results, made, settings.family, MACRO)[1]


def axis_notes(compared: ComparedRuns) -> list[str]:
    """Return a note where a pair has another order, or another verdict, on the other axis.

    It says which pairs of the headline, and names the other tasks.
    """
    said = {task: _reversed(compared, task) for task in compared.columns if task in compared.other_pairs}
    headline = said.pop(compared.headline, [])
    others = [task for task, found in said.items() if found]
    if not headline and not others:
        return []
    assert compared.other_axis is not None  # where there are pairs on it
    counts = axis_named(compared.other_axis).counts
    about = f"Another axis, another answer: on the {compared.other_axis} axis, where {counts} counts the same, "
    if not headline:
        return [f"{about}order or significance differ on {', '.join(others)}."]
    too = f"; {', '.join(others)} too" if others else ""
    return [f"{about}{'; '.join(headline)} ({compared.headline}{too})."]


def _reversed(compared: ComparedRuns, task: str) -> list[str]:
    here, there, alpha = compared.pairs[task], compared.other_pairs[task], compared.settings.alpha
    said, only_here, only_there = [], [], []
    for pair, d in here.differences.items():
        other = there.differences[pair]
        sure, sure_there = (p.p_adjusted.get(pair, 1.0) <= alpha for p in (here, there))
        if not (sure or sure_there):
            continue
        a, b = pair if (d.value > 0) == here.higher_is_better else pair[::-1]
        if d.value * other.value < 0:
            said.append(_turned(a, b, sure, sure_there, compared.settings.axis))
        elif sure:
            only_here += [] if sure_there else [f"{a} over {b}"]
        else:
            only_there.append(f"{a} over {b}")
    said += [f"these leads are not significant: {', '.join(only_here)}"] if only_here else []
    said += [f"these leads are significant, which they are not here: {', '.join(only_there)}"] if only_there else []
    return said


def _turned(a: str, b: str, sure: bool, sure_there: bool, here: str) -> str:
    """Say that `a`, which is ahead here, is behind there, and where the tests show it."""
    if sure and sure_there:
        return f"{b} is significantly ahead of {a}, on {here} significantly behind"
    if sure:
        return f"{b} scores better than {a}, though not significantly; on {here} it is significantly behind"
    return f"{b} is significantly ahead of {a}; on {here} it scores worse, though not significantly"
