"""What `recommend` finds: the smallest adequate rank of a run, the evidence, and what each rank costs."""

from __future__ import annotations

from dataclasses import dataclass

from aurac.analysis.adequacy import Adequacy
from aurac.analysis.compared import MACRO
from aurac.results import Profile, Run
from aurac.results.profile import Cost

EVERY_TASK = "every task"


@dataclass(frozen=True)
class CostLine:
    """What is known of the cost of a rank; attributes are those of `ProfileRow`, None where something is not known."""

    rank: int
    parameters: int | None
    bytes: int | None
    unmerged: Cost | None = None
    merged: Cost | None = None


@dataclass(frozen=True, repr=False)
class RecommendedRank:
    """The smallest adequate rank of one run.

    Attributes:
        run: The run.
        margin: Largest acceptable loss, fraction for accuracies.
        alpha: Chance to declare an inadequate rank, at most.
        tests: Task -> smallest adequate rank with evidence; "macro" is the mean over tasks, where there is one.
        max_rank: Rank of the adapter, of which rank r holds the share r / max_rank of the parameters.
        parameters: Parameters of the adapter at that rank, None where its weights are not at hand.
        notes: What could not be tested, and why.
        n_bytes: Bytes of the adapter at that rank as stored, None where its weights are not at hand.
        profile: What `aurac profile` measured, None where it did not.
    """

    run: Run
    margin: float
    alpha: float
    tests: dict[str, Adequacy]
    max_rank: int
    parameters: int | None
    notes: tuple[str, ...]
    n_bytes: int | None = None
    profile: Profile | None = None

    @property
    def unit(self) -> str:
        """What a rank counts, a name in `aurac.curve.curve.UNITS`: ranks, or parameters of the adapter."""
        return next(iter(self.run.curves.values())).unit

    @property
    def basis(self) -> str:
        """What the headline rests on: the mean over tasks, the only task, or every task where they have no mean."""
        if MACRO in self.tests:
            return MACRO
        return next(iter(self.tests)) if len(self.tests) == 1 else EVERY_TASK

    @property
    def rank(self) -> int:
        """The recommended rank."""
        return self.every_task if self.basis == EVERY_TASK else self.tests[self.basis].rank

    @property
    def every_task(self) -> int:
        """Smallest rank that is adequate on each task by itself, the largest of their ranks.

        It is wrong only if the task that should have stopped the sequence did not, so alpha holds without correction
        (an intersection-union test, Berger 1982).
        """
        return max(test.rank for task, test in self.tests.items() if task != MACRO)

    @property
    def tested_ranks(self) -> list[int]:
        """All ranks with evidence, from full rank down."""
        return sorted({e.rank for test in self.tests.values() for e in test.evidence}, reverse=True)

    def cost_at(self, rank: int) -> CostLine:
        """Return what is known of the cost of a rank: measured where it was profiled, else its share of the whole."""
        if self.profile is not None and (row := self.profile.row(rank)) is not None:
            return CostLine(rank, row.parameters, row.bytes, row.unmerged, row.merged)
        return CostLine(rank, self._share_of(self.parameters, rank), self._share_of(self.n_bytes, rank))

    def _share_of(self, whole: int | None, rank: int) -> int | None:
        return None if whole is None else whole * rank // self.max_rank
