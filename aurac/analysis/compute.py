"""AURAC of one curve: the number, its error, and what both rest on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Protocol, SupportsFloat

import numpy as np
import numpy.typing as npt

from aurac.analysis.cost_axes import axis_of, signed_costs
from aurac.analysis.inference import Inference
from aurac.analysis.score import AuracScore
from aurac.analysis.sources import as_curve, opened
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, RefusedError
from aurac.quadrature import Axis, Vector, axis_named, effective_ranks, weights
from aurac.results import Run
from aurac.signature import Signature, curve_signature
from aurac.statistics.cautions import cautions
from aurac.statistics.chance import above_chance, check_chance, interval_above_chance
from aurac.statistics.estimate import check_level
from aurac.statistics.intervals import check_interval_name
from aurac.statistics.refused import check_name
from aurac.statistics.seeds import TARGETS


class Shaped(Protocol):
    """An array, a Series or a DataFrame of any library."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its size, one number a dimension."""


CurveLike = (
    RankAccuracyCurve | Run | Mapping[Any, SupportsFloat] | Sequence[SupportsFloat] | Shaped | str | PathLike[str]
)
"""What `compute` makes a curve of."""


def compute(
    curve: CurveLike,
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
    metric: str | None = None,
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
        ci: "wilson", "t", "bca", or "auto": Wilson at the effective number of documents for scores in [0, 1] (with
            clusters at the t quantile of their number), t for unbounded metrics.
        clusters: One label a document where documents share a passage; by default those of the curve, if it has some.
        rng: For ci "bca" only; by default seeded with 12345.
        chance: Accuracy of guessing; the score is then (AURAC - chance) / (1 - chance), and its error likewise.
        scale: "fraction" or "percent", of accuracies that are not in a curve yet.
        duplicates: "error" or "mean", for ranks that occur twice.
        task: Which task, where the input holds several.
        metric: Which metric, likewise; of a run any recorded one, by default the headline one. A metric with several
            filters is named with one: "exact_match:strict-match".
        target: What the error is about, a name in `aurac.statistics.seeds.TARGETS`: "docs" (these adapters, new
            documents of this kind), "docs+seeds" (the method), the default for a curve that holds several seeds, or
            "docs+prompts", the default for one whose few-shot examples were drawn several times.

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
    check_level(confidence_level)
    check_name("target", target or "docs", TARGETS)
    source = opened(curve)
    data = as_curve(source, accuracies, scale=scale, duplicates=duplicates, task=task, metric=metric)
    along = axis_named(axis_of(axis, [source if isinstance(source, Run) else data]))
    if data.scores is None and (ci != "auto" or clusters is not None):
        raise CurveError(
            "this curve has no per-document scores, so it has no error bar: errors of single ranks cannot be combined, "
            "because ranks share their documents. Leave ci= and clusters= out."
        )
    area: dict[str, Any] = {"rule": rule, "within": within, "prior": prior}
    w = weights(data.ranks, along, **area)
    clusters = data.clusters if clusters is None else clusters
    inference = Inference(confidence_level, ci, clusters, rng, target)
    estimate, interval = inference.of(data, w)
    stderr = None if estimate is None else estimate.stderr
    extras = _extras(within, w if rule == "prior" else None, duplicates, chance) | signed_costs(along, data.ranks)
    signed = curve_signature(data, axis=along.name, rule=rule, extras=extras)
    score = AuracScore(
        value=float(w @ data.accuracies),
        value_linear=_on_axis(data, "linear", area),
        value_log2=_on_axis(data, "log2", area),
        stderr=stderr,
        interval=interval,
        weights=dict(zip(data.ranks, w.tolist(), strict=True)),
        k_eff=effective_ranks(w),
        n_documents=data.n_documents,
        signature=Signature(signed, inference.signed(interval)),
        warnings=cautions(data, w, axis=along, rule=rule, stderr=stderr, interval=interval, clusters=clusters),
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
