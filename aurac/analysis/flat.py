"""Which scores and differences have an error of 0 only because nothing varies, and what that leaves open."""

from __future__ import annotations

from collections.abc import Mapping

from aurac.analysis.compared import Result
from aurac.curve.curve import RankAccuracyCurve
from aurac.statistics.flat import unseen_share


def flat_notes(
    results: Mapping[tuple[str, str], Result],
    curves: Mapping[str, Mapping[str, RankAccuracyCurve]],
    baseline: str,
    *,
    alpha: float,
    target: str,
    macro: str,
) -> list[str]:
    """Return one note a task on which the error of a run, or of its difference to the baseline, is 0.

    Args:
        results: (run name, task) -> result.
        curves: Task -> run name -> curve.
        baseline: The run that is subtracted.
        alpha: Level of the bound.
        target: Of the errors.
        macro: The name of the mean over tasks, which may not be there.
    """
    notes = []
    for task, by_name in curves.items():
        found: dict[str, float] = {}  # what is flat -> the most by which one document can be otherwise
        for name in by_name:
            result = results[name, task]
            if result.stderr == 0:
                found[name] = max(result.value, 1 - result.value)
            if result.difference is not None and result.difference.stderr == 0:
                found[f"{name} minus {baseline}"] = 1 + abs(result.difference.value)
        if found:
            said = _note(task, found, by_name[baseline], alpha if target.startswith("docs") else None)
            if (baseline, macro) in results:
                has = "; its interval allows for it" if target == "docs" else ""
                said += f" The ± of the mean over tasks lacks this part{has}."
            notes.append(said)
    return notes


def _note(task: str, found: Mapping[str, float], curve: RankAccuracyCurve, alpha: float | None) -> str:
    said = f"± ? on {task} ({', '.join(found)}): nothing varies there, so the error is unknown, not zero."
    if alpha is not None and curve.bounded and curve.n_documents:
        reach = max(found.values()) * unseen_share(curve.n_documents, alpha)
        said += f" {curve.n_documents} documents leave up to {100 * reach:.2f} points open (level {alpha:g})."
    return said
