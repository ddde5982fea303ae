"""A profile as people get it: the measured costs of every rank, which can be written in any format."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aurac.report.base import Report
from aurac.report.table import Table
from aurac.report.tables.cost import cost_table, records
from aurac.results import Profile


@dataclass(frozen=True)
class Costs(Report):
    """What each rank of an adapter costs: a profile, and the title of its table."""

    profile: Profile
    title: str

    def tables(self) -> list[Table]:
        """Return one table, a row for each rank."""
        return [cost_table(self.profile.rows, title=self.title, profile=self.profile)]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each rank."""
        return records(self.profile)

    def content(self) -> dict[str, Any]:
        """Return the profile as it is stored, every repeat included."""
        return asdict(self.profile)
