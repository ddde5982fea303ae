"""What a comparison says, in one sentence: who leads, and whether the documents can tell."""

from __future__ import annotations

from collections.abc import Sequence

from aurac.analysis.compared import MACRO, ComparedRuns
from aurac.quadrature import axis_named
from aurac.report.numbers import value_text, with_error
from aurac.report.tables.table_cells import unit


def verdict(comparison: ComparedRuns) -> str:
    """Return the sentence that a reader wants first.

    A run shares the first place when no run is significantly better, after Holm's adjustment over all pairs.
    """
    best, *others = comparison.ordered()
    where = _where(comparison)
    value = f"{_value(comparison, best.name)}"
    if not others:
        return f"{best.name} has AURAC {value} {where}."
    if comparison.grids_differ(comparison.headline):
        return f"The runs were scored at different ranks, so their AURACs have no common order {where}."
    tiers = comparison.tiers(comparison.headline)
    if tiers is None:
        return f"{best.name} has the best AURAC {where}, {value}; whether that is more than chance was not tested."
    first = [name for name in tiers.order if tiers.places[name][0] == 1]
    level = f"at the {100 * comparison.settings.alpha:.3g} % level"
    if len(first) == 1:
        ahead = _gap(comparison, best.name, others[0].name)
        lead = f"{best.name} leads {where}: AURAC {value}, {ahead} ahead of {others[0].name}, and"
        return f"{lead} {_shown(comparison, best.name, [run.name for run in others])} {level}.{_elsewhere(comparison)}"
    if len(first) == len(comparison.runs):
        return f"No run is shown to be better than another {where} {level}; {best.name} has the best AURAC, {value}."
    return (
        f"{_listed(first)} share the first place {where}: {best.name} has the best AURAC, {value}, and no run is shown "
        f"to be better than {'either' if len(first) == 2 else 'any'} of them {level}."
    )


def _shown(comparison: ComparedRuns, best: str, others: Sequence[str]) -> str:
    """Say what the tests show of the only run that none is better than; it need not beat each other one itself."""
    if not all(comparison.beats(comparison.headline, best, other) for other in others):
        return "the only run that none is shown to be better than"
    return f"better than {'it' if len(others) == 1 else 'each of the others'}"


def _elsewhere(comparison: ComparedRuns) -> str:
    """Name the run that leads on the other axis, where it is another one."""
    pairs = comparison.other_pairs.get(comparison.headline)
    if pairs is None:
        return ""
    here, there = comparison.ordered()[0].name, pairs.tiers(comparison.settings.alpha).order[0]
    if here == there or comparison.other_axis is None:
        return ""
    counts = axis_named(comparison.other_axis).counts
    return f" Where {counts} counts the same (the {comparison.other_axis} axis), {there} has the best AURAC."


def _where(comparison: ComparedRuns) -> str:
    if comparison.headline == MACRO:
        return f"on the mean over {len(comparison.tasks)} tasks"
    return f"on {comparison.headline}"


def _value(comparison: ComparedRuns, name: str) -> str:
    result = comparison.results[name, comparison.headline]
    return with_error(result.value, result.stderr, unit=unit(comparison, comparison.headline))


def _gap(comparison: ComparedRuns, best: str, second: str) -> str:
    a, b = (comparison.results[name, comparison.headline] for name in (best, second))
    factor = unit(comparison, comparison.headline)
    return f"{value_text(abs(a.value - b.value), a.stderr, unit=factor)}{' points' if factor == 100 else ''}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
