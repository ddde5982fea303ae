"""Which rank to deploy: the smallest that is not worse than full rank by more than a margin, with evidence.

Ranks are tested from full rank down, each at level alpha, until the first that fails (fixed-sequence testing, Maurer,
Hothorn and Lehmacher 1995). The chance to declare a rank that loses `margin` or more is at most alpha, without a
correction for the number of ranks. "Not significantly different from full rank" has no such property: on small
benchmarks it declares nearly every rank.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from aurac.analysis.sources import as_curves
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.statistics.equivalence import check_margin, t_loss_test
from aurac.statistics.estimate import Estimate
from aurac.statistics.factors import widest_target
from aurac.statistics.losses import loss_over_seeds
from aurac.statistics.non_inferiority import LossTest, loss_test
from aurac.statistics.sample import Sample, inputs_of, mean_of


@dataclass(frozen=True)
class RankEvidence:
    """What is known about one rank.

    Attributes:
        rank: The rank.
        accuracy: Score at this rank; the mean over tasks where there are several.
        loss: Full rank minus this rank (reversed where lower is better), positive when this rank is worse.
        stderr: Standard error of the loss, paired over documents.
        upper: One-sided upper bound of the loss at level alpha: the smallest margin that the rank could be certified
            for, when all larger ranks are too.
        p_value: Against "the loss is `margin` or more"; None for full rank.
        deviating: Documents whose score differs from full rank's.
        detectable: Smallest margin that this many documents would certify with 80 % power if the rank lost nothing.
        status: "reference", "certified", "failed" (where the sequence stopped), or "not tested".
    """

    rank: int
    accuracy: float
    loss: float
    stderr: float
    upper: float
    p_value: float | None
    deviating: int
    detectable: float
    status: str


@dataclass(frozen=True, repr=False)
class Adequacy:
    """The smallest adequate rank and the evidence.

    The test is the score test (`aurac.statistics.non_inferiority`) for scores in [0, 1], over all tasks at once; with
    several training seeds it is about the method, and a t test over documents and seeds has to agree; likewise with
    several draws of few-shot examples.

    Attributes:
        rank: Smallest certified rank; full rank when none below it is certified.
        max_rank: Full rank, the reference.
        margin: Largest acceptable loss, fraction for accuracies.
        alpha: Chance to declare an inadequate rank, at most.
        n_documents: Documents, over all tasks.
        bounded: Whether scores are fractions, which are printed as points.
        evidence: One entry a rank, from full rank down.
        target: What is random: "docs" (this adapter), "docs+seeds" (the method) for curves with several seeds; with
            "+prompts" where few-shot examples were drawn several times.
        n_seeds: Trainings behind the curves.
        n_clusters: Passages that the documents of all tasks share, None where documents stand alone.
    """

    rank: int
    max_rank: int
    margin: float
    alpha: float
    n_documents: int
    bounded: bool
    evidence: tuple[RankEvidence, ...]
    target: str = "docs"
    n_seeds: int = 1
    n_clusters: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return asdict(self)

    def __repr__(self) -> str:
        """Return the verdict in one line; `print` shows the evidence too."""
        return f"Adequacy(rank={self.rank} of {self.max_rank}, margin={self.margin:g}, n_documents={self.n_documents})"

    def _repr_html_(self) -> str:
        """Return what `print` shows, for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def __str__(self) -> str:
        """Print the rank, the evidence, and what the documents could have shown."""
        show, unit = (_points, " points") if self.bounded else (_plain, "")
        test = f"fixed-sequence non-inferiority, alpha {self.alpha:g}, {self.n_documents} documents"
        if self.rank == self.max_rank:
            lines = [
                f"rank {self.rank}: no smaller rank is certified for a margin of {show(self.margin)}{unit} ({test})"
            ]
        else:
            lines = [f"rank {self.rank}: loses less than {show(self.margin)}{unit} to rank {self.max_rank} ({test})"]
        lines.append(f"  {'rank':>6}  {'score':>7}  {'loss':>7}  {'SE':>6}  {'at most':>8}  {'p':>6}  status")
        for e in self.evidence:
            p = "–" if e.p_value is None else f"{e.p_value:.3f}"
            error = show(e.stderr) if e.stderr > 0 or e.p_value is None else "?"
            lines.append(
                f"  {e.rank:>6}  {show(e.accuracy):>7}  {show(e.loss):>7}  {error:>6}  "
                f"{show(e.upper):>8}  {p:>6}  {e.status}"
            )
        stopped = next((e for e in self.evidence if e.status == "failed"), None)
        if stopped is not None:
            lines.append(
                f"rank {stopped.rank} cannot be certified. With these documents a rank that loses nothing would be "
                f"certified with 80 % power for a margin of {show(stopped.detectable)}{unit}."
            )
        if few := [str(e.rank) for e in self.evidence if e.status in {"certified", "failed"} and e.deviating < 10]:
            lines.append(
                f"fewer than 10 documents differ from full rank at rank {', '.join(few)}: the test is rough there."
            )
        return "\n".join(lines)


def smallest_rank(
    source: Any, *, margin: float = 0.01, alpha: float = 0.05, task: str | None = None, metric: str | None = None
) -> Adequacy:
    """Return the smallest rank that is not worse than full rank by `margin` or more.

    Args:
        source: A curve with per-document scores, a run, or the path of a run record; or a list of curves of the same
            ranks, one a task. Of several tasks the mean is tested.
        margin: Largest acceptable loss; a fraction, 0.01 is one point. In the metric's own unit where it is unbounded.
        alpha: Chance to declare an inadequate rank, at most.
        task: Which task of a run; by default all, with their mean.
        metric: Which metric; by default the headline one of each task.

    Raises:
        CurveError: If per-document scores are missing, or margin or alpha are out of range.
        ComparisonError: If curves of several tasks have different ranks.

    Example:
        >>> scores = [[0, 1, 1]] * 30 + [[0, 0, 1]] + [[1, 1, 1]] * 40 + [[0, 0, 0]] * 40
        >>> smallest_rank(RankAccuracyCurve.from_scores([1, 2, 4], scores), margin=0.05).rank
        2
    """
    curves = as_curves(source, task=task, metric=metric)
    _check(curves, margin, alpha)
    ranks = curves[0].ranks[::-1]
    evidence = []
    going = True
    for rank in ranks:
        found = _evidence(curves, rank, margin, alpha)
        going, status = _decide(found.p_value, going, alpha)
        evidence.append(replace(found, status=status))
    adequate = [e.rank for e in evidence if e.status in {"reference", "certified"}]
    n_documents = sum(curve.n_documents or 0 for curve in curves)
    seeds, clusters = [curve.seeds for curve in curves], [curve.clusters for curve in curves]
    return Adequacy(
        adequate[-1],
        ranks[0],
        margin,
        alpha,
        n_documents,
        curves[0].bounded,
        tuple(evidence),
        target=widest_target(curves),
        n_seeds=min((len(s.labels) for s in seeds if s is not None), default=1),
        n_clusters=sum(len(set(labels)) for labels in clusters if labels is not None) or None,
    )


def _decide(p_value: float | None, going: bool, alpha: float) -> tuple[bool, str]:
    """Return whether the sequence goes on below this rank, and the rank's status."""
    if p_value is None:
        return True, "reference"
    if not going:
        return False, "not tested"
    return (True, "certified") if p_value <= alpha else (False, "failed")


def _evidence(curves: Sequence[RankAccuracyCurve], rank: int, margin: float, alpha: float) -> RankEvidence:
    samples = [_losses(curve, rank) for curve in curves]
    drawn = loss_over_seeds(curves, rank)
    estimate = drawn or mean_of(samples)
    accuracy = float(np.mean([curve.accuracy_at(rank) for curve in curves]))
    reference = rank == curves[0].max_rank
    test = LossTest(1.0, 0.0, 0.0) if reference else _test(samples, estimate, margin, alpha, drawn is not None)
    deviating = sum(int(np.count_nonzero(sample.values)) for sample in samples)
    return RankEvidence(
        rank=rank,
        accuracy=accuracy,
        loss=estimate.value,
        stderr=estimate.stderr,
        upper=test.upper,
        p_value=None if reference else test.p_value,
        deviating=deviating,
        detectable=test.detectable,
        status="",
    )


def _losses(curve: RankAccuracyCurve, rank: int) -> Sample:
    measured, sign = curve.measured(), 1.0 if curve.higher_is_better else -1.0
    values = sign * (measured[:, -1] - measured[:, curve.ranks.index(rank)])
    strata = None if curve.strata is None else curve.strata.labels
    return Sample(values, curve.clusters, curve.bounded, strata=strata)


def _test(samples: Sequence[Sample], estimate: Estimate, margin: float, alpha: float, over_seeds: bool) -> LossTest:
    """Return p, the bound of the loss at level alpha, and the margin that a loss of 0 would be certified for.

    Losses of fractions have the score test, over all tasks at once. Unbounded ones have the t test, and so has a method
    with several seeds, whose error is over both, and a run with several draws of examples; of two tests the weaker one
    counts.
    """
    bounded = all(sample.bounded for sample in samples)
    tests = []
    if bounded:
        inputs = inputs_of(samples)
        tests.append(loss_test(inputs.losses(), margin, alpha=alpha, df=inputs.df))
    if (not bounded or over_seeds) and estimate.stderr > 0:
        tests.append(t_loss_test(estimate, margin, alpha=alpha))
    if not tests:
        raise CurveError("all documents have the same loss, so an unbounded metric shows no spread to test against.")
    ceiling = 1.0 if bounded else math.inf
    return LossTest(
        max(t.p_value for t in tests), min(ceiling, max(t.upper for t in tests)), max(t.detectable for t in tests)
    )


def _check(curves: Sequence[RankAccuracyCurve], margin: float, alpha: float) -> None:
    check_margin(margin, bounded=any(curve.bounded for curve in curves))
    if not 0 < alpha < 0.5:
        raise CurveError(f"alpha {alpha:g} is not between 0 and 0.5. Usual: 0.05.")
    if not curves:
        raise CurveError("no curves were given. Give a curve, a run, or a list of curves.")
    for curve in curves:
        if curve.part is not None:
            why = (
                "audited ranks have too few documents of their own"
                if curve.part.is_audit
                else "they were as many as the AURAC needs, not the loss of a single rank"
            )
            raise CurveError(
                f"{curve.part.asked}; {why}. Score all documents: without --precision and --audit, into another --out."
            )
        if curve.scores is None:
            raise CurveError(
                "this curve has no per-document scores, so no rank can be certified: ranks share their documents and "
                "only pairs show the loss. Score with documents kept."
            )
        if len(curve.scores) < 2:
            raise CurveError("one document has no spread, so no rank can be certified. Score at least 2 documents.")
        if curve.ranks != curves[0].ranks:
            raise ComparisonError("the tasks were scored at different ranks. Score all tasks at the same ranks.")
        if (curve.bounded, curve.higher_is_better) != (curves[0].bounded, curves[0].higher_is_better):
            raise ComparisonError("the tasks have metrics of different units or directions, which have no mean.")


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _points(value: float) -> str:
    return f"{100 * value:.2f}"
