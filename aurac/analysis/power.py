"""How many documents and seeds a comparison needs: minimal detectable effect, power, documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aurac.errors import CurveError
from aurac.results import Run
from aurac.statistics.paired import paired_difference
from aurac.statistics.planning import documents_needed, minimal_effect, power_of, seed_floor


@dataclass(frozen=True)
class Spread:
    """Standard deviation of per-document differences of a pair, a fraction, and the documents it was seen on."""

    name: str
    sd: float
    n_documents: int | None = None


TYPICAL = (Spread("similar methods", 0.20), Spread("moderately alike", 0.30), Spread("unlike methods", 0.36))
"""Pairs whose cross-rank correlation is high, middle and low in this project's simulations."""


@dataclass(frozen=True)
class Question:
    """What is asked of a study; effects are fractions.

    Attributes:
        effect: True difference of interest, None when only the minimal effect is asked for.
        power: Probability of finding it.
        alpha: Level of the two-sided test.
        n_seeds: Seeds of each method, None when seeds are not part of the question.
        seed_sd: Standard deviation of a method's score between seeds.
    """

    effect: float | None = None
    power: float = 0.8
    alpha: float = 0.05
    n_seeds: int | None = None
    seed_sd: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One answer; fractions.

    Attributes:
        name: Task, or kind of pair.
        sd: Standard deviation of per-document differences.
        n_documents: Number of documents, None when only the number needed is asked for.
        minimal: Smallest true difference that so many documents (and seeds) find with the power asked for.
        power: Probability of finding the effect asked for.
        needed: Documents that find the effect with the power asked for; None where seeds alone hide it.
    """

    name: str
    sd: float
    n_documents: int | None
    minimal: float | None
    power: float | None
    needed: int | None


@dataclass(frozen=True)
class StudyPlan:
    """The answers to a question, and what a reader should know about them."""

    question: Question
    plans: tuple[Plan, ...]
    notes: tuple[str, ...]

    @property
    def floor(self) -> float | None:
        """Smallest difference that documents without end show with these seeds; None without a question about seeds."""
        q = self.question
        return None if q.n_seeds is None else seed_floor(q.seed_sd, q.n_seeds, alpha=q.alpha, power=q.power)


def plan_study(
    question: Question, spreads: Sequence[Spread], *, documents: Sequence[int] | None = None, notes: Sequence[str] = ()
) -> StudyPlan:
    """Answer a question for each spread and each number of documents.

    Args:
        question: What is asked.
        spreads: Of the pairs in question.
        documents: Numbers of documents; by default as many as each spread was seen on.
        notes: What a reader should know about the spreads.

    Example:
        >>> (plan,) = plan_study(Question(effect=0.01), [Spread("", 0.3)], documents=[1172]).plans
        >>> round(plan.minimal, 4), round(plan.power, 2), plan.needed  # 2.80 * 0.3 / sqrt(1172)
        (0.0246, 0.21, 7066)
    """
    if documents is None and question.effect is None and any(spread.n_documents is None for spread in spreads):
        raise CurveError("nothing to plan. Give a number of documents, an effect, or two runs.")
    said = list(notes)
    asked: Sequence[int | None] | None = documents
    plans = tuple(_plan(question, s.name, s.sd, n, said) for s in spreads for n in asked or [s.n_documents])
    return StudyPlan(question, plans, tuple(dict.fromkeys(said)))


def observed_spreads(a: Run, b: Run) -> list[Spread]:
    """Return the spread of the per-document AURAC differences of a pilot pair on each common task.

    Raises:
        CurveError: If the runs have no task in common.
        ComparisonError: If their documents cannot be joined.
    """
    tasks = [task for task in a.tasks if task in b.tasks]
    if not tasks:
        raise CurveError(f"{a.name!r} and {b.name!r} have no task in common. Give two runs of the same tasks.")
    found = []
    for task in tasks:
        d = paired_difference(a.curve(task), b.curve(task), n_resamples=1, missing="drop")
        found.append(Spread(task, float(d.differences.std(ddof=1)), d.n_documents))
    return found


def _plan(question: Question, name: str, sd: float, n: int | None, said: list[str]) -> Plan:
    study: dict[str, Any] = {"alpha": question.alpha, "seed_sd": question.seed_sd, "n_seeds": question.n_seeds}
    needed = None
    if question.effect is not None:
        try:
            needed = documents_needed(question.effect, sd, power=question.power, **study)
        except CurveError:
            if question.n_seeds is None or question.effect <= 0:
                raise
            said.append(
                f"No number of documents shows {100 * question.effect:.2f} points with {question.n_seeds} seeds: the "
                "spread between seeds hides it. Train more seeds."
            )
    return Plan(
        name,
        sd,
        n,
        None if n is None else minimal_effect(sd, n, power=question.power, **study),
        None if n is None or question.effect is None else power_of(question.effect, sd, n, **study),
        needed,
    )
