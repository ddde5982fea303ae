"""`power` as people get it: the plan of `aurac.analysis.power`, which can be written in any format."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aurac.analysis.power import StudyPlan, plan_study
from aurac.report.base import Report, written
from aurac.report.table import Table
from aurac.report.tables.power import power_notes, power_table


class Power(Report, StudyPlan):
    """What so many documents and seeds can show; the attributes are those of `aurac.analysis.power.StudyPlan`."""

    def tables(self) -> list[Table]:
        """Return one table, a row for each pair and number of documents."""
        return [power_table(self)]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each row, with the question in it."""
        return [asdict(self.question) | asdict(plan) for plan in self.plans]

    def content(self) -> dict[str, Any]:
        """Return question, plans and notes."""
        plans = [asdict(plan) for plan in self.plans]
        return {"question": asdict(self.question), "plans": plans, "notes": power_notes(self)}


power = written(plan_study, Power)
