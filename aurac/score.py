"""`compute`: AURAC of a curve, with everything that a reader needs to judge the number."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy.typing as npt

from aurac.curve import RankAccuracyCurve
from aurac.curve_files import read_curve
from aurac.errors import CurveError, RecordError, UnknownNameError
from aurac.quadrature import effective_ranks, weights
from aurac.results import is_run, load
from aurac.signature import Signature, curve_signature
from aurac.statistics.intervals import Interval, estimate_mean, per_document, t_interval, wilson_interval

CI_METHODS = ("auto", "wilson", "t")


@dataclass(frozen=True)
class AuracScore:
    """Normalised area under one rank-accuracy curve.

    Attributes:
        value: AURAC on the chosen axis and rule, fraction in [0, 1] for accuracies.
        value_linear: The same rule on the linear axis (the authors' first version); None where refused.
        value_log2: The same rule on the log2 axis (their second version).
        stderr: Exact standard error over documents, None where per-document scores are not known.
        interval: Confidence interval, None likewise.
        weights: Weight of each rank; they sum to 1.
        k_eff: 1 / sum of squared weights, the number of ranks the value really rests on.
        n_documents: Documents behind the error, None if unknown.
        signature: What has to be equal for another score to be comparable.
        warnings: What a reader should know, one sentence each.
        curve: What was integrated.
    """

    value: float
    value_linear: float | None
    value_log2: float
    stderr: float | None
    interval: Interval | None
    weights: Mapping[int, float]
    k_eff: float
    n_documents: int | None
    signature: Signature
    warnings: tuple[str, ...]
    curve: RankAccuracyCurve

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that JSON can hold."""
        return {
            "value": self.value,
            "value_linear": self.value_linear,
            "value_log2": self.value_log2,
            "stderr": self.stderr,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "weights": {str(rank): weight for rank, weight in self.weights.items()},
            "k_eff": self.k_eff,
            "n_documents": self.n_documents,
            "accuracies": {str(r): float(a) for r, a in zip(self.curve.ranks, self.curve.accuracies, strict=True)},
            "task": self.curve.task,
            "metric": self.curve.metric,
            "higher_is_better": self.curve.higher_is_better,
            "signature": str(self.signature),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """Print the value in points with its error, the values on both axes, the weights, and the signature."""
        unit, name = (100.0, " points") if self.curve.bounded else (1.0, f" {self.curve.metric}")
        lines = [f"AURAC {self.value * unit:.4g}{name}{self._error_text(unit)}"]
        if not self.curve.higher_is_better:
            lines[0] += "  (lower is better)"
        linear = "refused" if self.value_linear is None else f"{self.value_linear * unit:.4g}"
        lines.append(f"  log2 axis {self.value_log2 * unit:.4g}, linear axis {linear}")
        lines.append(f"  {'rank':>8}  {'value':>8}  {'weight':>7}")
        for rank, value in zip(self.curve.ranks, self.curve.accuracies, strict=True):
            lines.append(f"  {rank:>8}  {value * unit:>8.4g}  {self.weights[rank]:>7.4f}")
        lines.append(f"  the value rests on {self.k_eff:.1f} ranks (K_eff) of {len(self.weights)}")
        lines += [f"  note: {warning}" for warning in self.warnings]
        return "\n".join([*lines, str(self.signature)])

    def _error_text(self, unit: float) -> str:
        if self.stderr is None or self.interval is None:
            return ""
        ci = self.interval
        return (
            f" ± {self.stderr * unit:.2g} (SE), {ci.confidence_level:.0%} CI [{ci.low * unit:.4g}, {ci.high * unit:.4g}] "
            f"({ci.method}, {self.n_documents} documents)"
        )


def compute(
    curve: RankAccuracyCurve | Mapping[int, float] | Sequence[int] | str | PathLike[str] | Any,
    accuracies: npt.ArrayLike | None = None,
    *,
    axis: str = "log2",
    rule: str = "trapezoid",
    within: tuple[float, float] | None = None,
    prior: Mapping[int, float] | Sequence[float] | None = None,
    confidence_level: float = 0.95,
    ci: str = "auto",
    clusters: Sequence[Hashable] | None = None,
    scale: str = "fraction",
    duplicates: str = "error",
    task: str | None = None,
) -> AuracScore:
    """Integrate a rank-accuracy curve.

    AURAC = sum over ranks of w_k acc_k with weights that sum to 1 (MatryoshkaLoRA, arXiv 2605.07850). It is linear in the
    accuracies, hence the mean over documents of a_i = sum over ranks of w_k y_ik, whose spread gives the exact standard
    error. Errors of single ranks cannot be combined into it, because ranks share their documents.

    Args:
        curve: A `RankAccuracyCurve`; a mapping or a table from rank to accuracy; ranks, with `accuracies` beside; a
            DataFrame with the columns rank and accuracy, or rank, document and score; a path of a CSV or JSON curve or
            of a run record.
        accuracies: Accuracies for `curve` given as ranks.
        axis: "log2" (every doubling counts the same) or "linear".
        rule: A name in `aurac.quadrature.RULES`.
        within: Only this part of the rank range.
        prior: Deployment mix over ranks, for rule "prior".
        confidence_level: Of the interval.
        ci: "wilson" at the effective number of documents, "t", or "auto": Wilson for values in [0, 1] without clusters,
            t otherwise.
        clusters: Label of each document's cluster (its passage), n of them.
        scale: "fraction" or "percent", for input that is not yet a curve.
        duplicates: "error" or "mean", likewise.
        task: Which task of a run record.

    Returns:
        The score.

    Raises:
        CurveError: If the input makes no curve, or options do not fit it.
        RecordError: If a path leads to no curve and no run.

    Example:
        >>> compute({1: 0.41, 2: 0.44, 4: 0.47}).value  # (0.41 + 2 * 0.44 + 0.47) / 4
        0.44
    """
    if ci not in CI_METHODS:
        raise UnknownNameError("interval method", ci, CI_METHODS)
    curve = as_curve(curve, accuracies, scale=scale, duplicates=duplicates, task=task)
    rank_weights = weights(curve.ranks, axis, rule, within=within, prior=prior)
    options: dict[str, Any] = {"rule": rule, "within": within, "prior": prior}
    on_log2 = weights(curve.ranks, "log2", **options)
    on_linear = None if rule == "simpson" else weights(curve.ranks, "linear", **options)
    stderr, interval = _error(curve, rank_weights, ci, confidence_level, clusters)
    extras = {}
    if within is not None:
        extras["within"] = f"{within[0]:g}-{within[1]:g}"
    if prior is not None:
        extras["prior"] = "-".join(f"{w:.6g}" for w in rank_weights)
    inference = {}
    if interval is not None:
        inference = {"ci": f"{interval.method}{confidence_level * 100:g}", "target": interval.target}
        inference |= {"clusters": str(len(set(clusters)))} if clusters is not None else {}
    return AuracScore(
        value=float(rank_weights @ curve.accuracies),
        value_linear=None if on_linear is None else float(on_linear @ curve.accuracies),
        value_log2=float(on_log2 @ curve.accuracies),
        stderr=stderr,
        interval=interval,
        weights=dict(zip(curve.ranks, rank_weights.tolist(), strict=True)),
        k_eff=effective_ranks(rank_weights) if within is None or within[0] < within[1] else 1.0,
        n_documents=curve.n_documents,
        signature=Signature(curve_signature(curve, axis=axis, rule=rule, extras=extras), inference),
        warnings=_warnings(curve),
        curve=curve,
    )


def as_curve(
    source: Any,
    accuracies: npt.ArrayLike | None = None,
    *,
    scale: str = "fraction",
    duplicates: str = "error",
    task: str | None = None,
) -> RankAccuracyCurve:
    """Return the curve behind anything that `compute` takes."""
    options: dict[str, Any] = {"scale": scale, "duplicates": duplicates}
    if isinstance(source, RankAccuracyCurve):
        return source
    if isinstance(source, (str, PathLike)):
        return _from_path(Path(fspath(source)), task, options)
    if hasattr(source, "curve") and hasattr(source, "tasks"):
        return _of_run(source, task)
    if hasattr(source, "columns"):
        return _from_frame(source, options)
    if isinstance(source, Mapping):
        return RankAccuracyCurve(list(source), list(source.values()), **options)
    if accuracies is None:
        raise CurveError(f"cannot read a curve from {type(source).__name__} alone. Give ranks and accuracies, a mapping, "
                         "a DataFrame, or a path.")  # fmt: skip
    return RankAccuracyCurve(source, accuracies, **options)


def _from_path(path: Path, task: str | None, options: Mapping[str, Any]) -> RankAccuracyCurve:
    if not path.exists():
        raise RecordError(f"no such file or folder: {path}. Give a .csv or .json curve, or the folder of a run record.")
    if path.is_file():
        return read_curve(path, **options)
    if not is_run(path) and any(path.rglob("results_*.json")):
        raise RecordError(f"{path} is an lm-eval output folder of one model; a curve needs one result a rank. Score the "
                          "adapter with `aurac score`, or write rank,accuracy into a CSV file.")  # fmt: skip
    return _of_run(load(path), task)


def _of_run(run: Any, task: str | None) -> RankAccuracyCurve:
    if task is None and len(run.tasks) != 1:
        raise CurveError(f"run {run.name!r} has {len(run.tasks)} tasks: {', '.join(run.tasks)}. Say which with task=.")
    curve: RankAccuracyCurve = run.curve(run.tasks[0] if task is None else task)
    return curve


def _from_frame(frame: Any, options: Mapping[str, Any]) -> RankAccuracyCurve:
    columns = set(frame.columns)
    if {"rank", "accuracy"} <= columns:
        return RankAccuracyCurve(frame["rank"].tolist(), frame["accuracy"].tolist(), **options)
    if {"rank", "document", "score"} <= columns:
        if frame.duplicated(["rank", "document"]).any():
            raise CurveError("a document occurs twice at one rank. Give one row for each rank and document.")
        matrix = frame.pivot(index="document", columns="rank", values="score")
        if matrix.isna().any().any():
            gaps = int(matrix.isna().to_numpy().sum())
            raise CurveError(f"{gaps} scores are missing: every document needs a score at every rank.")
        return RankAccuracyCurve.from_scores(
            [int(rank) for rank in matrix.columns],
            matrix.to_numpy(),
            documents=[str(key) for key in matrix.index],
            **options,
        )
    raise CurveError(f"a DataFrame needs the columns rank and accuracy, or rank, document and score; it has "
                     f"{', '.join(map(str, frame.columns))}.")  # fmt: skip


def _error(
    curve: RankAccuracyCurve,
    rank_weights: Any,
    ci: str,
    confidence_level: float,
    clusters: Sequence[Hashable] | None,
) -> tuple[float | None, Interval | None]:
    if curve.scores is None:
        if ci != "auto" or clusters is not None:
            raise CurveError("this curve has no per-document scores, so it has no error bar: errors of single ranks "
                             "cannot be combined, because ranks share their documents.")  # fmt: skip
        return None, None
    if len(curve.scores) == 1:
        return None, None
    estimate = estimate_mean(per_document(curve.scores, rank_weights), clusters=clusters)
    if ci == "wilson" and not (curve.bounded and clusters is None):
        raise CurveError("Wilson's interval needs values in [0, 1] and no clusters. Use ci='t'.")
    if ci == "t" or clusters is not None or not curve.bounded:
        return estimate.stderr, t_interval(estimate, confidence_level=confidence_level)
    return estimate.stderr, wilson_interval(estimate, len(curve.scores), confidence_level=confidence_level)


def _warnings(curve: RankAccuracyCurve) -> tuple[str, ...]:
    notes = []
    if len(curve.ranks) == 1:
        notes.append(f"one rank ({curve.ranks[0]}) only: the score is the accuracy there, not an area")
    if curve.scores is None:
        notes.append("no per-document scores: the error is unknown")
    elif len(curve.scores) == 1:
        notes.append("one document only: the error is unknown")
    return tuple(notes)
