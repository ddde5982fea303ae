"""What `compare` computes: results, tests of all pairs, and what can be read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from aurac.analysis.score import AuracScore
from aurac.analysis.settings import Settings
from aurac.results import Run
from aurac.statistics.equivalence import Equivalence
from aurac.statistics.estimate import Interval
from aurac.statistics.over_seeds import are_paired
from aurac.statistics.paired import PairedDifference, smallest_found
from aurac.statistics.pairwise import Pairwise
from aurac.statistics.tiers import Tiers

MACRO = "macro"
"""The name of the mean over tasks, among the tasks."""


@dataclass(frozen=True)
class Result:
    """One run on one task (or on the mean over tasks).

    Attributes:
        value: AURAC.
        value_linear: AURAC on the linear axis.
        stderr: Standard error for the target of the comparison, None where unknown.
        interval: Confidence interval that belongs to `stderr`, None where unknown.
        score: The whole score; None for the mean over tasks.
        difference: Paired difference to the baseline; None for the baseline, or without per-document scores.
        p_holm: The difference's p-value, adjusted over the runs compared with the baseline on this task.
    """

    value: float
    value_linear: float | None
    stderr: float | None
    interval: Interval | None
    score: AuracScore | None
    difference: PairedDifference | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class EqualWithin:
    """Tests of equivalence to the baseline.

    Attributes:
        margin: Largest difference that counts as none, a fraction for accuracies.
        tests: (run, task) -> two one-sided tests (Schuirmann 1987); pairs without a test are left out.
    """

    margin: float
    tests: Mapping[tuple[str, str], Equivalence]


@dataclass(frozen=True, repr=False)
class ComparedRuns:
    """Runs compared on their common documents.

    Attributes:
        runs: The runs, the baseline among them; methods where several seeds are one row.
        tasks: Tasks compared.
        baseline: Name of the run that the others are compared with.
        results: (run name, task) -> result; the task "macro" is the mean over tasks, where that makes sense.
        notes: What a reader has to know, printed under the tables.
        pairs: Task -> tests of all pairs as one family; tasks whose documents cannot be joined are left out.
        settings: How it was made.
        other_axis: The other axis of ranks on which pairs were tested too, None for costs and without tests.
        other_pairs: As `pairs`, on that axis.
        equal_within: Tests of equivalence to the baseline, where a margin was given.
    """

    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    baseline: str
    results: dict[tuple[str, str], Result]
    notes: tuple[str, ...]
    pairs: Mapping[str, Pairwise]
    settings: Settings
    other_axis: str | None = None
    other_pairs: Mapping[str, Pairwise] = field(default_factory=dict)
    equal_within: EqualWithin | None = None

    @property
    def headline(self) -> str:
        """The column that orders the runs: the mean over tasks, or the first task."""
        return MACRO if (self.baseline, MACRO) in self.results else self.tasks[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The tasks, and the mean over them where there is one."""
        return (*self.tasks, MACRO) if self.headline == MACRO else self.tasks

    def ordered(self) -> list[Run]:
        """Return the runs from best to worst in the headline column; as given where their ranks differ."""
        if self.grids_differ(self.headline):
            return list(self.runs)
        best_last = self.higher_is_better(self.headline)
        return sorted(self.runs, key=lambda run: self.results[run.name, self.headline].value, reverse=best_last)

    def score(self, run: str, task: str) -> AuracScore:
        """Return the score of a run on a task that is not the mean over tasks."""
        score = self.results[run, task].score
        assert score is not None
        return score

    def bounded(self, task: str) -> bool:
        """Tell whether the numbers of a task are fractions; those of the mean over tasks always are."""
        return task == MACRO or self.score(self.baseline, task).curve.bounded

    def higher_is_better(self, task: str) -> bool:
        """Return the direction of a task; tasks of different directions have no mean."""
        return self.score(self.baseline, self.tasks[0] if task == MACRO else task).curve.higher_is_better

    def wins_ties_losses(self, run: str, task: str) -> tuple[int, int, int] | None:
        """Count the documents on which a run is better than the baseline, as good, and worse.

        None for the baseline, and for audits, where most documents were not asked at most ranks.
        """
        d = self.results[run, task].difference
        if d is None or not d.higher + d.equal + d.lower:
            return None
        counts = (d.higher, d.equal, d.lower)
        return counts if self.higher_is_better(task) else counts[::-1]

    def tiers(self, task: str) -> Tiers | None:
        """Return the places on a task that the tests of all pairs can tell apart; None where there are no tests."""
        tested = task in self.pairs and self.pairs[task].p_adjusted
        return self.pairs[task].tiers(self.settings.alpha) if tested else None

    def other_tiers(self, task: str) -> Tiers | None:
        """Return the places on the other axis, None where there are no tests on it."""
        tested = task in self.other_pairs and self.other_pairs[task].p_adjusted
        return self.other_pairs[task].tiers(self.settings.alpha) if tested else None

    def grids_differ(self, task: str) -> bool:
        """Tell whether runs were scored at different ranks: their scores are different metrics, without an order."""
        tasks = self.tasks if task == MACRO else (task,)
        return any(len({self.score(run.name, t).curve.ranks for run in self.runs}) > 1 for t in tasks)

    def beats(self, task: str, name: str, other: str) -> bool:
        """Tell whether a run is significantly better than another in the tests of all pairs."""
        pairs = self.pairs[task]
        for a, b, sign in ((name, other, 1), (other, name, -1)):
            if (a, b) in pairs.p_adjusted:
                better = sign * pairs.differences[a, b].value * (1 if pairs.higher_is_better else -1) > 0
                return better and pairs.p_adjusted[a, b] <= self.settings.alpha
        return False

    def has_best_value(self, run: str, task: str) -> bool:
        """Tell whether no run has a better number on a task, whatever its error; ties are all best."""
        if self.grids_differ(task):
            return False
        values = [self.results[other.name, task].value for other in self.runs]
        best = max(values) if self.higher_is_better(task) else min(values)
        return len(values) > 1 and abs(self.results[run, task].value - best) < 1e-12

    def detectable(self, d: PairedDifference) -> float | None:
        """Return the smallest true difference that an unadjusted test finds with 80 % power; None without a test."""
        return smallest_found(d, alpha=self.settings.alpha)

    def tests_made(self, *tasks: str) -> list[str]:
        """Return the names of the tests behind the p-values on these tasks, by default on all."""
        pairs = [made for task, made in self.pairs.items() if not tasks or task in tasks]
        names = {d.test for made in pairs for d in made.differences.values() if d.p_value is not None}
        return [name for name in ("sign-flip", "score", "t") if name in names]

    def pairing(self) -> str:
        """Return how the seeds of two methods were joined in the tests: "paired", "independent", or "mixed".

        Draws of few-shot examples are paired: where prompts are not the same, documents are not joined.
        """
        if "seeds" not in self.settings.target:
            return "paired"
        curves = [self.score(run.name, self.tasks[0]).curve for run in self.runs]
        paired = {are_paired(a.seeds, b.seeds) for a, b in combinations(curves, 2) if a.seeds and b.seeds}
        return {True: "paired", False: "independent"}[paired.pop()] if len(paired) == 1 else "mixed"

    def signature_lines(self, task: str) -> list[str]:
        """Return the signatures of a task: one line, or one for each kind where they were allowed to differ."""
        test = {}
        if made := self.tests_made(task) if task in self.pairs else []:
            names = {"sign-flip": f"flip{self.settings.n_resamples}"}
            test = {"test": "+".join(names.get(name, name) for name in made)}
            if self.settings.target == "docs":
                test |= {"adj": "holm", "rs": str(self.settings.seed)}
            else:
                test |= {"pairing": self.pairing(), "adj": "holm"}
        order = [self.baseline, *(run.name for run in self.runs)]
        found = [self.score(name, task).signature for name in order]
        return list(dict.fromkeys(str(replace(s, inference={**s.inference, **test})) for s in found))
