"""AURAC of one curve: the number, its error, and what both rest on."""

from __future__ import annotations

import html
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.analysis.cost_axes import axis_of, signed_costs
from aurac.analysis.sources import as_curve, opened
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, RefusedError
from aurac.quadrature import Axis, Vector, axis_named, effective_ranks, weights
from aurac.results import Run
from aurac.signature import Signature, curve_signature
from aurac.statistics.cautions import cautions
from aurac.statistics.chance import above_chance, check_chance, interval_above_chance
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import check_interval_name, estimate_mean, mean_interval, per_document
from aurac.statistics.methods import method_interval, method_score
from aurac.statistics.refused import check_name
from aurac.statistics.seeds import TARGETS


@dataclass(frozen=True, repr=False)
class AuracScore:
    """What `compute` returns.

    Attributes:
        value: AURAC on the asked axis, fraction in [0, 1] for accuracies; relative to chance where that was asked.
        value_linear: The same rule on the linear axis; None where it is refused, as "simpson" is.
        value_log2: The same rule on the log2 axis; None where it is refused.
        stderr: Standard error, over documents or what the interval's target says; None where there are no per-document
            scores or only one document.
        interval: Confidence interval; None where `stderr` is.
        weights: Rank -> weight, summing to 1.
        k_eff: 1 / sum of squared weights, the number of ranks that the score rests on.
        n_documents: Documents behind the error, None where they are not known.
        signature: The line that makes two scores comparable.
        warnings: What a reader should know, one sentence each.
        curve: The curve that was integrated.
        axis: What was integrated over.
        rule: Integration rule.
        costs: Rank -> cost that was integrated over, in the unit of the axis; None for axes of the rank.
    """

    value: float
    value_linear: float | None
    value_log2: float | None
    stderr: float | None
    interval: Interval | None
    weights: Mapping[int, float]
    k_eff: float
    n_documents: int | None
    signature: Signature
    warnings: tuple[str, ...]
    curve: RankAccuracyCurve
    axis: str
    rule: str
    costs: Mapping[int, float] | None = None

    def __float__(self) -> float:
        """Return AURAC on the asked axis."""
        return float(self.value)

    def __repr__(self) -> str:
        """Return the score in one line; `print` shows weights and accuracies too."""
        error = "" if not self.stderr else f" ± {self.stderr:.4f}"
        what = ", ".join(str(part) for part in (self.curve.name, self.curve.task, self.curve.metric) if part)
        ranks = "-".join(map(str, self.curve.ranks))
        return f"AuracScore({self.value:.4f}{error}{f', {what}' if what else ''}, {self.axis} axis, ranks {ranks})"

    def _repr_html_(self) -> str:
        """Return what `print` shows, for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the per-document scores as a dictionary that JSON can hold."""
        return {
            "value": self.value,
            "value_linear": self.value_linear,
            "value_log2": self.value_log2,
            "stderr": self.stderr,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "axis": self.axis,
            "rule": self.rule,
            "accuracies": {str(r): float(a) for r, a in zip(self.curve.ranks, self.curve.accuracies, strict=True)},
            "weights": {str(rank): weight for rank, weight in self.weights.items()},
            **({} if self.costs is None else {"costs": {str(rank): cost for rank, cost in self.costs.items()}}),
            "k_eff": self.k_eff,
            "n_documents": self.n_documents,
            "task": self.curve.task,
            "metric": self.curve.metric,
            "higher_is_better": self.curve.higher_is_better,
            "warnings": list(self.warnings),
            "signature": str(self.signature),
        }

    def __str__(self) -> str:
        """Print the score for a terminal, accuracies in points."""
        show = _points if self.curve.bounded else _plain
        log2, linear = ("refused" if v is None else show(v) for v in (self.value_log2, self.value_linear))
        table = [("rank", "weight", self.curve.metric or "accuracy", *((self.axis,) if self.costs else ()))]
        table += [
            (str(rank), f"{weight:.4f}", show(value), *((f"{self.costs[rank]:.6g}",) if self.costs else ()))
            for (rank, weight), value in zip(self.weights.items(), self.curve.accuracies, strict=True)
        ]
        return "\n".join(
            [
                f"AURAC {show(self.value)} {self._error_text(show)}"
                + ("" if self.curve.higher_is_better else ", lower is better"),
                f"  {self.rule} rule on the {self.axis} axis (log2 {log2}, linear {linear}); "
                f"K_eff {self.k_eff:.2f} of {len(self.weights)} ranks",
                *("".join(f"  {cell:>{6 if k < 2 else 8}}" for k, cell in enumerate(row)) for row in table),
                *(f"warning: {warning}" for warning in self.warnings),
                str(self.signature),
            ]
        )

    def _error_text(self, show: Any) -> str:
        if self.stderr is None or self.interval is None:
            return "(error unknown)"
        i = self.interval
        return (
            f"± {show(self.stderr) if self.stderr > 0 else '?'} (standard error over {self.n_documents} documents; "
            f"{i.confidence_level:.0%} {i.method} interval {show(i.low)} to {show(i.high)}, target: {i.target})"
        )


def compute(
    curve: Any,
    accuracies: npt.ArrayLike | None = None,
    *,
    axis: str | Axis = "log2",
    rule: str = "trapezoid",
    within: tuple[float, float] | None = None,
    prior: Mapping[int, float] | Sequence[float] | None = None,
    confidence_level: float = 0.95,
    ci: str = "auto",
    clusters: Sequence[Hashable] | None = None,
    rng: np.random.Generator | None = None,
    chance: float | None = None,
    scale: str = "fraction",
    duplicates: str = "error",
    task: str | None = None,
    target: str | None = None,
) -> AuracScore:
    """Integrate a rank-accuracy curve: AURAC = sum over ranks of w_k * acc_k.

    Where per-document scores y_ik are known, AURAC is the mean over documents of a_i = sum of w_k * y_ik, and the
    spread of a_i gives its exact standard error, correlation between ranks included. Errors of single ranks
    (lm-eval's `acc_stderr`) cannot give it, so without documents there is none.

    Args:
        curve: A `RankAccuracyCurve`; ranks, with `accuracies` as the second argument; a mapping of rank to accuracy, or
            a pandas Series indexed by rank; a DataFrame with columns rank and accuracy, or rank, score and doc_id or
            doc_hash; the path of a .csv or .json curve or of a run record; or a loaded run.
        accuracies: Accuracies when `curve` is a list of ranks.
        axis: A name in `aurac.quadrature.AXES`: "log2" (every doubling counts alike), "linear"; or of a cost in
            `aurac.analysis.costs.COSTS` ("params", "bytes", "flops", "latency"), of which every unit counts alike, for
            runs.
        rule: A name in `aurac.quadrature.RULES`.
        within: Only this part of the rank range, ends interpolated.
        prior: Deployment mix over ranks, for rule "prior".
        confidence_level: Of the interval.
        ci: "wilson", "t", "bca", or "auto": Wilson at the effective number of documents for scores in [0, 1], t for
            clusters and unbounded metrics.
        clusters: One label a document where documents share a passage; by default those of the curve, if it has some.
        rng: For ci "bca" only; by default seeded with 12345.
        chance: Accuracy of guessing; the score is then (AURAC - chance) / (1 - chance), and its error likewise.
        scale: "fraction" or "percent", of accuracies that are not in a curve yet.
        duplicates: "error" or "mean", for ranks that occur twice.
        task: Which task, where the input holds several.
        target: What the error is about, a name in `aurac.statistics.seeds.TARGETS`: "docs" (these adapters, new
            documents of this kind), or "docs+seeds" (the method), the default for a curve that holds several seeds.

    Raises:
        CurveError: If the input makes no curve.
        RefusedError: For rules and intervals known to mislead.
        UnknownNameError: For a rule, axis, or interval in no table.

    Example:
        >>> score = compute({1: 0.40, 2: 0.50, 4: 0.46, 8: 0.60})  # (0.40/2 + 0.50 + 0.46 + 0.60/2) / 3
        >>> round(score.value, 6), round(score.value_linear, 6), score.stderr
        (0.486667, 0.504286, None)
    """
    check_interval_name(ci)
    check_name("target", target or "docs", TARGETS)
    source = opened(curve)
    data = as_curve(source, accuracies, scale=scale, duplicates=duplicates, task=task)
    along = axis_named(axis_of(axis, [source if isinstance(source, Run) else data]))
    if data.scores is None and (ci != "auto" or clusters is not None):
        raise CurveError(
            "this curve has no per-document scores, so it has no error bar: errors of single ranks cannot be combined, "
            "because ranks share their documents. Leave ci= and clusters= out."
        )
    area: dict[str, Any] = {"rule": rule, "within": within, "prior": prior}
    w = weights(data.ranks, along, **area)
    clusters = data.clusters if clusters is None else clusters
    estimate, interval = _inference(
        data, w, confidence_level=confidence_level, ci=ci, clusters=clusters, rng=rng, target=target
    )
    stderr = None if estimate is None else estimate.stderr
    about_error = {}
    if interval is not None:
        about_error = {"ci": f"{interval.method}{confidence_level * 100:g}", "target": interval.target}
    if interval is not None and clusters is not None:
        about_error["clusters"] = str(len(set(clusters)))
    extras = _extras(within, w if rule == "prior" else None, duplicates, chance) | signed_costs(along, data.ranks)
    score = AuracScore(
        value=float(w @ data.accuracies),
        value_linear=_on_axis(data, "linear", area),
        value_log2=_on_axis(data, "log2", area),
        stderr=stderr,
        interval=interval,
        weights=dict(zip(data.ranks, w.tolist(), strict=True)),
        k_eff=effective_ranks(w),
        n_documents=data.n_documents,
        signature=Signature(curve_signature(data, axis=along.name, rule=rule, extras=extras), about_error),
        warnings=cautions(data, w, axis=along, rule=rule, stderr=stderr, interval=interval),
        curve=data,
        axis=along.name,
        rule=rule,
        costs=along.costs and {rank: along.costs[rank] for rank in data.ranks},
    )
    return score if chance is None else _relative(score, chance)


def _on_axis(curve: RankAccuracyCurve, axis: str, area: Mapping[str, Any]) -> float | None:
    """Return the score on an axis; None where the rule is refused there."""
    try:
        return float(weights(curve.ranks, axis, **area) @ curve.accuracies)
    except RefusedError:
        return None


def _relative(score: AuracScore, chance: float) -> AuracScore:
    """Return the score relative to guessing; the curve, its weights and warnings stay as measured."""
    if not score.curve.bounded:
        raise CurveError("chance= needs scores in [0, 1], and this metric is unbounded. Leave chance= out.")
    return replace(
        score,
        value=above_chance(score.value, chance),
        value_linear=None if score.value_linear is None else above_chance(score.value_linear, chance),
        value_log2=None if score.value_log2 is None else above_chance(score.value_log2, chance),
        stderr=None if score.stderr is None else score.stderr / (1 - chance),
        interval=None if score.interval is None else interval_above_chance(score.interval, chance),
    )


def _inference(
    curve: RankAccuracyCurve,
    w: Vector,
    *,
    confidence_level: float,
    ci: str,
    clusters: Sequence[Hashable] | None,
    rng: np.random.Generator | None,
    target: str | None,
) -> tuple[Estimate | None, Interval | None]:
    scores = curve.scores
    if scores is None or len(scores) < 2 or target == "benchmark":  # where nothing is random
        return None, None
    if (target or ("docs" if curve.seeds is None else "docs+seeds")) != "docs":
        if ci != "auto":
            raise CurveError("an error over seeds has an interval of its own. Leave ci= out, or ask for target='docs'.")
        if clusters is not None and clusters is not curve.clusters:
            curve = curve.clustered([str(label) for label in clusters])
        over_seeds = method_score([curve], [w], target=target or "docs+seeds")
        interval = method_interval(over_seeds, [curve], [w], confidence_level=confidence_level)
        return Estimate(over_seeds.value, over_seeds.stderr, over_seeds.df), interval
    a = per_document(scores, w)
    interval = mean_interval(
        a, confidence_level=confidence_level, ci=ci, clusters=clusters, bounded=curve.bounded, rng=rng
    )
    return estimate_mean(a, clusters=clusters), interval


def _extras(
    within: tuple[float, float] | None, mix: Vector | None, duplicates: str, chance: float | None
) -> dict[str, str]:
    extras = {}
    if chance is not None:
        extras["norm"] = f"chance{check_chance(chance):g}"
    if within is not None:
        extras["within"] = f"{within[0]:g}-{within[1]:g}"
    if mix is not None:
        extras["prior"] = "-".join(f"{share:.6g}" for share in mix)
    if duplicates != "error":
        extras["duplicates"] = duplicates
    return extras


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _plain(value: float) -> str:
    return f"{value:.4g}"
