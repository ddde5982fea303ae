"""The table of gains over the base model."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns
from aurac.analysis.gain import Gain, gain
from aurac.report.numbers import MISSING, value_text, with_error
from aurac.report.table import Table, TableCell
from aurac.report.tables.table_cells import point_text, unit
from aurac.results import Run

_NOTE = (
    "Gain over the base model (rank 0) on the same documents, ± standard error over documents; the base is no part of "
    "AURAC. Kept: the share of the gain at the largest rank, at each rank and in AURAC; only where that gain is more "
    "than twice its error."
)


def gains(compared: ComparedRuns) -> list[Table]:
    """Return one table with a row for each run and task whose base model was measured; none without any."""
    found = [
        (run, task, about)
        for task in compared.tasks
        for run in compared.ordered()
        if (about := gain_of(compared, run, task)) is not None
    ]
    if not found:
        return []
    ranks = sorted({rank for _, _, about in found for rank in about.recovered})
    kept = [f"kept {point_text(compared, rank, before='r=')}" for rank in ranks]
    return [
        Table(
            title="Gain over the base model",
            columns=("run", "task", "base", "AURAC − base", "largest rank", "kept", *kept),
            rows=tuple(_row(compared, run, task, about, ranks) for run, task, about in found),
            notes=(_NOTE,),
        )
    ]


def gain_of(compared: ComparedRuns, run: Run, task: str) -> Gain | None:
    """Return the gain of a run on a task, with the axis and rule of the comparison; None where it is not known."""
    along = compared.settings.area
    return gain(compared.score(run.name, task).curve, axis=along["axis"], rule=along["rule"])


def _row(compared: ComparedRuns, run: Run, task: str, about: Gain, ranks: list[int]) -> tuple[TableCell, ...]:
    factor = unit(compared, task)
    return (
        TableCell(run.name),
        TableCell(task),
        TableCell(value_text(about.base, about.area_stderr, unit=factor)),
        TableCell(with_error(about.area, about.area_stderr, unit=factor)),
        TableCell(with_error(about.full, about.full_stderr, unit=factor)),
        TableCell(_share(about.recovered_area)),
        *(TableCell(_share(about.recovered.get(rank))) for rank in ranks),
    )


def _share(value: float | None) -> str:
    """Return a share in percent with the minus sign of the other numbers, and none before 0.

    Example:
        >>> _share(-0.036), _share(-0.004)
        ('−4 %', '0 %')
    """
    return MISSING if value is None else f"{round(100 * value)} %".replace("-", "−")
