"""`compare` as people get it: the numbers of `aurac.analysis.compare`, which can be written in any format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aurac.analysis import compare as computing
from aurac.analysis.compared import ComparedRuns
from aurac.report.base import Report, Tables, written
from aurac.report.prose import methods
from aurac.report.table import Table
from aurac.report.tables import leaderboard, records
from aurac.report.tables.footnotes import about_axis
from aurac.report.tables.verdict import verdict


class Comparison(Report, ComparedRuns):
    """Runs compared on their common documents; `render` writes it in any of `aurac.report.formats.FORMATS`.

    The attributes are those of `aurac.analysis.compared.ComparedRuns`: runs, tasks, baseline, results, notes, pairs,
    settings.
    """

    def tables(self) -> list[Table]:
        """Return the leaderboard, the differences to the baseline, and the value at every rank."""
        return leaderboard.tables(self)

    def summary(self) -> Report:
        """Return the verdict, the leaderboard and what a reader has to know, without tests and values at each rank."""
        first, *_ = self.tables()
        return Tables((replace(first, title=verdict(self), notes=(*about_axis(self), *self.notes)),))

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each run and task, fractions, None where something is not known."""
        return records.records(self)

    def content(self) -> dict[str, Any]:
        """Return records, tests of all pairs, signatures and notes."""
        return records.content(self)

    def prose(self) -> str:
        """Return a "methods" paragraph for a paper, with the references it cites."""
        return methods(self)

    def __repr__(self) -> str:
        names = tuple(run.name for run in self.runs)
        return f"Comparison(runs={names}, tasks={self.tasks}, baseline={self.baseline!r})"


compare = written(computing.compare, Comparison)
