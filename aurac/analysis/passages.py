"""Which documents are taken to share a passage: as the records say, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aurac.errors import ComparisonError
from aurac.harness.passages import NONE
from aurac.results import Run


def by_field(runs: Sequence[Run], field: str | None) -> list[Run]:
    """Return the runs with documents clustered by this field of the task's documents.

    Args:
        runs: As loaded; their curves are clustered by the field that their records keep.
        field: A field that a record must keep for a task; what one knows holds for the others. "none" takes every
            document for itself, None leaves the curves as they are.

    Raises:
        ComparisonError: If no record keeps this field.
    """
    if field is None:
        return list(runs)
    kept = {run.name: () if field == NONE else _kept(run) for run in runs}
    if field != NONE and not any(field in fields for fields in kept.values()):
        known = list(dict.fromkeys(name for fields in kept.values() for name in fields))
        raise ComparisonError(
            f"no record says which documents share {field!r}; known: {', '.join(map(repr, known)) or 'no field'}. "
            f"Score again with --cluster {field}, or take --cluster {known[0] if known else NONE}."
        )
    return [run if field in kept[run.name] else _alone(run) for run in runs]


def _alone(run: Run) -> Run:
    return replace(run, curves={task: curve.clustered(None) for task, curve in run.curves.items()})


def _kept(run: Run) -> tuple[str, ...]:
    """Return the fields by which the record clusters documents of a task."""
    tasks = run.record.get("tasks", {}).values()
    return tuple(dict.fromkeys(str(task["clusters"]["field"]) for task in tasks if "clusters" in task))
