"""A comparison of methods seed by seed: what every training scored."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns
from aurac.analysis.each_seed import EachSeed, every_seed
from aurac.report.numbers import MISSING, rounded, value_text
from aurac.report.table import Table, TableCell
from aurac.report.tables.table_cells import heading, unit

_NEXT = (
    "next: where one more training of the method will score, a prediction interval of the same confidence; with three "
    "seeds it is wide."
)


def seed_table(compared: ComparedRuns) -> list[Table]:
    """Return a table with a row for every training seed of every method, or nothing where no row has seeds."""
    found = {(each.run, each.task): each for each in every_seed(compared)}
    rows = []
    for run in compared.ordered():
        columns = [found.get((run.name, task)) for task in compared.columns]
        labels = dict.fromkeys(label for each in columns if each for label in each.values)
        rows += [_row(compared, run.name, label, columns) for label in labels]
        if any(each and each.next for each in columns):
            rows.append(_next(compared, run.name, columns))
    headings = ("run", "seed", *(heading(compared, task) for task in compared.columns))
    if not rows:
        return []
    told = any(each.next for each in found.values())
    return [Table("AURAC of each training seed", headings, tuple(rows), (_NEXT,) if told else ())]


def _row(compared: ComparedRuns, run: str, label: str, columns: list[EachSeed | None]) -> tuple[TableCell, ...]:
    cells = [run, label]
    for task, each in zip(compared.columns, columns, strict=True):
        # One training has few digits, so its points often end in a 5 that processors would round differently.
        value = rounded(None if each is None else each.values.get(label))
        cells.append(value_text(value, compared.results[run, task].stderr, unit=unit(compared, task)))
    return tuple(map(TableCell, cells))


def _next(compared: ComparedRuns, run: str, columns: list[EachSeed | None]) -> tuple[TableCell, ...]:
    cells = [run, "next"]
    for task, each in zip(compared.columns, columns, strict=True):
        found = None if each is None else each.next
        if found is None:
            cells.append(MISSING)
            continue
        low, high = (
            value_text(rounded(end), compared.results[run, task].stderr, unit=unit(compared, task))
            for end in (found.low, found.high)
        )
        cells.append(f"{low} to {high}")
    return tuple(map(TableCell, cells))
