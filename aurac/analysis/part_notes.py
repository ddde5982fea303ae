"""Notes on tasks of which a part of the documents was asked: which part, and what errors are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aurac.analysis.compared import MACRO, Result
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.part import Part

Key = tuple[str, str]


def part_notes(results: Mapping[Key, Result], curves: Mapping[str, Mapping[str, RankAccuracyCurve]]) -> list[str]:
    """Return one note for each task of which some run asked a part.

    Args:
        results: (run name, task) -> result.
        curves: Task -> run name -> curve.
    """
    notes = []
    for task, by_name in curves.items():
        parts = {name: curve.part for name, curve in by_name.items() if curve.part is not None}
        if len(by_name) == 1 and parts:
            ((name, part),) = parts.items()
            notes.append(f"{task}: {_alone(part, results[name, task])}")
        elif parts:
            notes.append(f"{task}: {_compared(parts, by_name)}")
    if notes and any(task == MACRO for _, task in results):
        notes.append("The error of the mean over tasks is about documents like these.")
    return notes


def _alone(part: Part, result: Result) -> str:
    asked = part.asked
    asked += f", {100 * part.share:.0f} % of the cells" if part.is_audit and part.share is not None else ""
    if result.interval is None or not result.stderr:
        return f"{asked}."
    half = 100 * (result.interval.high - result.interval.low) / 2
    if part.is_audit:
        return f"{asked}; the interval, ± {half:.2f} points, is about documents like these."
    wanted = "" if part.precision is None else f" (asked for: {100 * part.precision:g})"
    if result.interval.target != "benchmark":
        return f"{asked}; the interval, ± {half:.2f} points, is about documents like these, not about the benchmark."
    return f"{asked}; the interval, ± {half:.2f} points{wanted}, is about the score on all {part.n_total}."


def _compared(parts: Mapping[str, Part], every: Sequence[str] | Mapping[str, RankAccuracyCurve]) -> str:
    kinds = {part.asked for part in parts.values()}
    if len(kinds) == 1 and len(parts) == len(every):
        said = f"{kinds.pop()}, of every run"
    else:
        said = f"a part of the documents was asked ({', '.join(f'{name}: {part}' for name, part in parts.items())})"
    audited = any(part.is_audit for part in parts.values())
    counted = "; wins, ties and losses of audits are not counted" if audited else ""
    return f"{said}. Runs are paired by document; errors and tests are about documents like these{counted}."
