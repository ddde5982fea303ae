"""`recommend`: which rank of a run to deploy, for each task, on the mean over tasks, and for every task at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from aurac.analysis.adequacy import Adequacy, RankEvidence, smallest_rank
from aurac.errors import ComparisonError, CurveError, UnknownNameError
from aurac.report.comparison import MACRO, OUTPUTS
from aurac.report.formats import FORMATS
from aurac.report.tables.cost import CostLine
from aurac.results import Profile, Run, load
from aurac.statistics.equivalence import check_margin

EVERY_TASK = "every task"


@dataclass(frozen=True, repr=False)
class Recommendation:
    """The smallest adequate rank of one run; `render` writes it in any of `OUTPUTS`.

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

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each task and rank, fractions, None where something is not known."""
        return [self._record(task, test, e) for task, test in self.tests.items() for e in test.evidence]

    def _record(self, task: str, test: Adequacy, e: RankEvidence) -> dict[str, Any]:
        reference, cost = e.p_value is None, self.cost_at(e.rank)
        return {
            "run": self.run.name,
            "task": task,
            "rank": e.rank,
            "share": e.rank / self.max_rank,
            "parameters": cost.parameters,
            "bytes": cost.bytes,
            "prefill_seconds": None if cost.unmerged is None else cost.unmerged.prefill_seconds,
            "decode_seconds": None if cost.unmerged is None else cost.unmerged.decode_seconds,
            "n_documents": test.n_documents,
            "accuracy": e.accuracy,
            "loss": e.loss,
            "loss_stderr": None if reference else e.stderr,
            "loss_upper": None if reference else e.upper,
            "p_value": e.p_value,
            "deviating": e.deviating,
            "detectable": None if reference else e.detectable,
            "status": e.status,
            "margin": self.margin,
            "alpha": self.alpha,
        }

    def cost_at(self, rank: int) -> CostLine:
        """Return what is known of the cost of a rank: measured where it was profiled, else its share of the whole."""
        if self.profile is not None and (row := self.profile.row(rank)) is not None:
            return CostLine(rank, row.parameters, row.bytes, row.unmerged, row.merged)
        return CostLine(rank, self._share_of(self.parameters, rank), self._share_of(self.n_bytes, rank))

    def _share_of(self, whole: int | None, rank: int) -> int | None:
        return None if whole is None else whole * rank // self.max_rank

    def render(self, output: str = "terminal") -> str:
        """Return the recommendation as text.

        Raises:
            UnknownNameError: If `output` is not in `OUTPUTS`.
        """
        from aurac.report.formats.machine_readable import csv_text
        from aurac.report.tables.recommendation import recommendation_json, tables

        if output == "csv":
            return csv_text(self.records())
        if output == "json":
            return recommendation_json(self)
        if output not in FORMATS:
            raise UnknownNameError("output format", output, OUTPUTS)
        return "\n".join(FORMATS[output](table) for table in tables(self))

    def __str__(self) -> str:
        return self.render("terminal")

    def __repr__(self) -> str:
        return f"Recommendation({self.run.name!r}, rank={self.rank}, margin={self.margin:g}, alpha={self.alpha:g})"

    def _repr_html_(self) -> str:
        """Return the tables, for notebooks."""
        return self.render("html")


def recommend(
    run: Run | str | PathLike[str],
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    tasks: Sequence[str] | None = None,
    parameters: int | None = None,
    n_bytes: int | None = None,
    profile: Profile | None = None,
) -> Recommendation:
    """Find the smallest rank that is not worse than full rank by `margin` or more, on each task and on their mean.

    Args:
        run: A run or the path of a run record.
        margin: Largest acceptable loss; a fraction, 0.01 is one point. In the metric's own unit where it is unbounded.
        alpha: Chance to declare an inadequate rank, at most.
        tasks: Which tasks; by default all that have a curve.
        parameters: Parameters of the adapter at full rank, for the table of costs.
        n_bytes: Bytes of the adapter at full rank, likewise.
        profile: Times of each rank, likewise.

    Raises:
        CurveError: If margin or alpha are out of range, or no task can be tested; the message says why.
        UnknownNameError: If the run has no such task.
    """
    from aurac.analysis.adapter_size import full_rank

    check_margin(margin)
    loaded = run if isinstance(run, Run) else load(run)
    notes = [f"{task}: {problem}" for task, problem in loaded.problems.items() if tasks is None]
    tests: dict[str, Adequacy] = {}
    curves = [loaded.curve(task) for task in (loaded.tasks if tasks is None else tasks)]
    names = list(loaded.tasks if tasks is None else tasks)
    for task, curve in zip(names, curves, strict=True):
        try:
            tests[task] = smallest_rank(curve, margin=margin, alpha=alpha)
        except CurveError as error:
            notes.append(f"{task} was not tested: {error}")
    if not tests:
        raise CurveError(f"no rank of run {loaded.name!r} can be recommended. {' '.join(notes) or 'It has no curve.'}")
    if len(tests) == len(names) > 1:
        try:
            tests[MACRO] = smallest_rank(curves, margin=margin, alpha=alpha)
        except ComparisonError as error:
            notes.append(f"no mean over tasks: {error}")
    size: dict[str, Any] = {"parameters": parameters, "n_bytes": n_bytes, "profile": profile}
    return Recommendation(loaded, margin, alpha, tests, full_rank(loaded), notes=tuple(notes), **size)
