"""A comparison of methods seed by seed: what every training scored."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns
from aurac.analysis.each_seed import EachSeed, every_seed
from aurac.report.numbers import rounded, value_text
from aurac.report.table import Table, TableCell
from aurac.report.tables.table_cells import heading, unit


def seed_table(compared: ComparedRuns) -> list[Table]:
    """Return a table with a row for every training seed of every method, or nothing where no row has seeds."""
    found = {(each.run, each.task): each for each in every_seed(compared)}
    rows = []
    for run in compared.ordered():
        columns = [found.get((run.name, task)) for task in compared.columns]
        labels = dict.fromkeys(label for each in columns if each for label in each.values)
        rows += [_row(compared, run.name, label, columns) for label in labels]
    headings = ("run", "seed", *(heading(compared, task) for task in compared.columns))
    return [Table("AURAC of each training seed", headings, tuple(rows))] if rows else []


def _row(compared: ComparedRuns, run: str, label: str, columns: list[EachSeed | None]) -> tuple[TableCell, ...]:
    cells = [run, label]
    for task, each in zip(compared.columns, columns, strict=True):
        # One training has few digits, so its points often end in a 5 that processors would round differently.
        value = rounded(None if each is None else each.values.get(label))
        cells.append(value_text(value, compared.results[run, task].stderr, unit=unit(compared, task)))
    return tuple(map(TableCell, cells))
