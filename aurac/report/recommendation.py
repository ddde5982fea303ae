"""`recommend` as people get it: the rank that `aurac.analysis.recommend` finds, which can be written in any format."""

from __future__ import annotations

from typing import Any

from aurac.analysis import recommend as computing
from aurac.analysis.recommended import RecommendedRank
from aurac.report.base import Report, written
from aurac.report.table import Table
from aurac.report.tables import recommendation


class Recommendation(Report, RecommendedRank):
    """The smallest adequate rank of one run; `render` writes it in any of `aurac.report.formats.FORMATS`.

    The attributes are those of `aurac.analysis.recommended.RecommendedRank`: run, margin, alpha, tests, rank, basis.
    """

    def tables(self) -> list[Table]:
        """Return the answer for each task, the evidence at each rank, and what each rank costs."""
        return recommendation.tables(self)

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each task and rank, fractions, None where something is not known."""
        return recommendation.records(self)

    def content(self) -> dict[str, Any]:
        """Return the answer, the evidence and the costs."""
        return recommendation.content(self)

    def __repr__(self) -> str:
        return f"Recommendation({self.run.name!r}, rank={self.rank}, margin={self.margin:g}, alpha={self.alpha:g})"


recommend = written(computing.recommend, Recommendation)
