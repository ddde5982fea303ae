"""The rank-accuracy curve: accuracies at sub-ranks and, where known, the score of every document at every rank."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aurac.curve.checks import (
    Matrix,
    as_accuracies,
    as_base_scores,
    as_matrix,
    check_clusters,
    check_documents,
    check_seeds,
    check_values,
    frozen,
    merge_duplicates,
    sorted_ranks,
)
from aurac.curve.part import Part
from aurac.curve.seeds import SeedScores
from aurac.curve.strata import Strata
from aurac.errors import CurveError, UnknownNameError
from aurac.quadrature import Axis, Vector, check_ranks, weights

SCALES = {"fraction": 1.0, "percent": 100.0}
"""Scale name -> what full accuracy is on it."""
UNITS = {"rank": "rank", "parameters": "budget"}
"""What the points of a curve count -> what one of them is called: columns of every layer, or parameters in all."""
_DUPLICATES = ("error", "mean")


class RankAccuracyCurve:
    """Accuracy of one adapter on one task at K ranks. Immutable; checked and sorted by rank when it is made.

    Args:
        ranks: K ranks, each from 1; sorted for you, and everything that belongs to them with them.
        accuracies: K accuracies on `scale`; may be left out when `scores` are given, whose column means they are.
        scale: "fraction" (0..1) or "percent" (0..100); a value above the scale is an error, never a guess.
        duplicates: What to do with a rank that occurs twice: "error", or "mean" to average it.
        scores: Score of every document at every rank, shape (n, K), on the same scale, if known. For a corpus ratio
            (bits per byte) these are linearised per-document values whose mean is the ratio.
        documents: n unique keys that say which document (and prompt) a row of `scores` is; what paired tests join on.
        task: Name of the task.
        metric: Name of the metric.
        num_fewshot: Number of examples in the prompts.
        task_version: Version of the task, as lm-eval numbers it.
        higher_is_better: False for losses; changes verdicts, never numbers.
        bounded: Whether values lie in [0, 1]; False for bits per byte and the like.
        name: What the curve is called in tables and plots.
        inference: The adapter's inference rule, for the signature.
        max_length: Tokens that the model was allowed to read, where that was asked for; for the signature.
        seeds: For a method that was trained several times, the scores of every seed, of which `scores` is the mean;
            `from_seeds` makes such a curve.
        prompts: For a run whose few-shot examples were drawn several times, the scores under every draw, of which
            `scores` is the mean; the labels are the seeds of the draws.
        clusters: What each of n documents shares with others (a passage), so that errors take those together.
        strata: For a mean over tasks, the task of each document and its scores as measured; `scores` are then
            `Strata.linearised`.
        base: What the base model scores without the adapter, on `scale`: the score of every document of `scores`, or
            their mean alone. It is no point of the curve.
        part: That a part of the documents was asked. Of an audit, `scores` are `aurac.statistics.audit.expanded`, whose
            mean is the curve; they need not lie in [0, 1].
        unit: What `ranks` count: a name in `UNITS`.

    Raises:
        CurveError: If ranks or accuracies make no curve; the message says which value and why.

    Example:
        >>> curve = RankAccuracyCurve([4, 1, 2], [0.47, 0.41, 0.44])
        >>> curve.ranks, curve.accuracy_at(4)
        ((1, 2, 4), 0.47)
    """

    def __init__(
        self,
        ranks: Sequence[int],
        accuracies: npt.ArrayLike | None = None,
        *,
        scale: str = "fraction",
        duplicates: str = "error",
        scores: npt.ArrayLike | None = None,
        documents: Sequence[str] | None = None,
        task: str | None = None,
        metric: str | None = None,
        num_fewshot: int | None = None,
        task_version: str | None = None,
        higher_is_better: bool = True,
        bounded: bool = True,
        name: str | None = None,
        inference: str | None = None,
        max_length: int | None = None,
        seeds: SeedScores | None = None,
        prompts: SeedScores | None = None,
        clusters: Sequence[str] | None = None,
        strata: Strata | None = None,
        base: npt.ArrayLike | None = None,
        part: Part | None = None,
        unit: str = "rank",
    ) -> None:
        """Check everything, sort by rank, keep read-only copies."""
        if scale not in SCALES:
            raise UnknownNameError("scale", scale, SCALES)
        if unit not in UNITS:
            raise UnknownNameError("unit of a curve", unit, UNITS)
        if duplicates not in _DUPLICATES:
            raise UnknownNameError("treatment of duplicates", duplicates, _DUPLICATES)
        order, grid = sorted_ranks(ranks)
        matrix = None if scores is None else as_matrix(scores, ranks)[:, order] / SCALES[scale]
        values = as_accuracies(accuracies, matrix, order, SCALES[scale])
        _notice_fractions(scale, values, bounded)
        grid, values, matrix = merge_duplicates(grid, values, matrix, duplicates)
        self.ranks: tuple[int, ...] = tuple(int(rank) for rank in check_ranks(grid.tolist()))
        self.strata = None if strata is None else strata.ranks(order.tolist())
        self.part, asked = part, matrix if self.strata is None else self.strata.values
        check_values(self.ranks, values, None if part is not None and part.is_audit else asked, bounded)
        self.accuracies: Vector = frozen(values)
        self.scores: Matrix | None = None if matrix is None else frozen(matrix)
        self.documents = check_documents(documents, matrix)
        self.seeds = check_seeds(seeds, matrix, order)
        self.prompts = check_seeds(prompts, matrix, order)
        self.clusters = check_clusters(clusters, matrix)
        self.base_scores = as_base_scores(base, matrix, SCALES[scale])
        self.base: float | None = None if base is None else float(np.mean(np.asarray(base, float)) / SCALES[scale])
        self.task, self.metric, self.num_fewshot, self.task_version = task, metric, num_fewshot, task_version
        self.higher_is_better, self.bounded, self.name = higher_is_better, bounded, name
        self.inference, self.max_length, self.unit = inference, max_length, unit

    @classmethod
    def from_scores(cls, ranks: Sequence[int], scores: npt.ArrayLike, **options: Any) -> Self:
        """Return the curve whose accuracies are the column means of `scores`, shape (n, K)."""
        return cls(ranks, scores=scores, **options)

    @classmethod
    def from_seeds(
        cls, curves: Sequence[RankAccuracyCurve], labels: Sequence[str], *, unit: str = "run", name: str | None = None
    ) -> RankAccuracyCurve:
        """Return the curve of a method from the curves of its trainings: their mean, with the scores of every seed.

        Args:
            curves: One curve a seed, on the same ranks and documents in the same order
                (`aurac.statistics.alignment.align`); without per-document scores or keys only the mean is kept.
            labels: Name of each seed.
            unit: A name in `aurac.curve.seeds.SEED_UNITS`.
            name: What to call the method.

        Raises:
            CurveError: If ranks or documents differ.

        Example:
            >>> a, b = (RankAccuracyCurve.from_scores([1, 2], [[y, 1], [0, 1]], documents=["p", "q"]) for y in (0, 1))
            >>> method = RankAccuracyCurve.from_seeds([a, b], ["42", "43"])
            >>> method.accuracies.tolist(), method.seeds.values.shape  # the mean of 0 and 1/2 at rank 1
            ([0.25, 1.0], (2, 2, 2))
        """
        first = curves[0]
        for curve in curves[1:]:
            if (curve.ranks, curve.documents) != (first.ranks, first.documents):
                raise CurveError("the curves of the seeds differ in ranks or documents. Align them first.")
        if len(curves) == 1:
            return first._copy(
                first.ranks, first.accuracies, first.scores, first.documents, name=name or first.name, **first._parts()
            )
        known = [curve.scores for curve in curves if curve.scores is not None]
        if len(known) < len(curves) or first.documents is None:  # nothing says which rows belong together
            accuracies = np.mean([curve.accuracies for curve in curves], axis=0)
            bases = [curve.base for curve in curves if curve.base is not None]
            base = float(np.mean(bases)) if len(bases) == len(curves) else None
            return first._copy(first.ranks, accuracies, None, None, name=name or first.name, base=base)
        values = np.stack(known, axis=1)  # (n, S, K)
        seeds = SeedScores(values, tuple(labels), unit)
        mean = values.mean(axis=1)
        of_base = [curve.base_scores for curve in curves if curve.base_scores is not None]
        base = np.mean(of_base, axis=0) if len(of_base) == len(curves) else None
        about = {"clusters": first.clusters, "strata": _mean_strata(curves), "base": base}
        about["prompts"] = SeedScores.mean([curve.prompts for curve in curves])
        return first._copy(first.ranks, None, mean, first.documents, name=name or first.name, seeds=seeds, **about)

    @property
    def max_rank(self) -> int:
        """The largest measured rank."""
        return self.ranks[-1]

    @property
    def n_documents(self) -> int | None:
        """Number of documents, None where only accuracies are known."""
        return None if self.scores is None else len(self.scores)

    def area(
        self, rule: str = "trapezoid", *, axis: str | Axis = "log2", within: tuple[float, float] | None = None
    ) -> float:
        """Area under the curve, divided by the width of the axis.

        Args:
            rule: A name in `aurac.quadrature.RULES` that needs no prior.
            axis: What the curve is integrated over, a name in `aurac.quadrature.AXES`.
            within: Only this part of the rank range.

        Returns:
            Mean accuracy over the axis, fraction in [0, 1] for accuracies.

        Example:
            >>> RankAccuracyCurve((1, 3), (0.25, 0.75)).area(axis="linear")  # (0.25 + 0.75) / 2
            0.5
        """
        return float(weights(self.ranks, axis, rule, within=within) @ self.accuracies)

    def accuracy_at(self, rank: int) -> float:
        """Return the accuracy at a measured rank; `CurveError` for any other."""
        return float(self.accuracies[self._index(rank)])

    def at_sizes(self, sizes: Mapping[int, int]) -> RankAccuracyCurve:
        """Return the curve over parameters instead of ranks.

        Args:
            sizes: Rank -> parameters of the adapter at that rank, increasing.
        """
        grid = [sizes[rank] for rank in self.ranks]
        parts = self._parts() | {"unit": "parameters"}
        return self._copy(grid, self.accuracies, self.scores, self.documents, **parts)

    def select_ranks(self, ranks: Sequence[int]) -> RankAccuracyCurve:
        """Return the curve at these measured ranks only, with its documents."""
        columns = [self._index(rank) for rank in ranks]
        return self._copy(
            [self.ranks[c] for c in columns],
            self.accuracies[columns],
            None if self.scores is None else self.scores[:, columns],
            self.documents,
            seeds=self.seeds and self.seeds.ranks(columns),
            prompts=self.prompts and self.prompts.ranks(columns),
            clusters=self.clusters,
            strata=self.strata and self.strata.ranks(columns),
        )

    def select_documents(self, documents: Sequence[str]) -> RankAccuracyCurve:
        """Return the curve on these documents, in this order."""
        if self.scores is None or self.documents is None:
            raise CurveError("this curve has no per-document scores, so its documents cannot be selected.")
        rows = {key: row for row, key in enumerate(self.documents)}
        if unknown := [key for key in documents if key not in rows]:
            raise CurveError(f"document {unknown[0]!r} is not on this curve ({len(unknown)} such keys).")
        chosen = [rows[key] for key in documents]
        about = {
            "seeds": self.seeds and self.seeds.documents(chosen),
            "prompts": self.prompts and self.prompts.documents(chosen),
            "clusters": self.clusters and [self.clusters[row] for row in chosen],
            "strata": self.strata and self.strata.documents(chosen),
            # Of a mean over tasks the base is linearised too, which other documents would change.
            "base": None if self.base_scores is None or self.strata else self.base_scores[chosen],
        }
        return self._copy(self.ranks, None, self.scores[chosen], tuple(documents), **about)

    def measured(self) -> Matrix:
        """Return every document's own score at every rank, shape (n, K); `CurveError` where documents are not known.

        For a mean over tasks these are not `scores`, whose mean is the curve.
        """
        if self.scores is None:
            raise CurveError("this curve has no per-document scores.")
        return self.scores if self.strata is None else self.strata.values

    def clustered(self, clusters: Sequence[str] | None) -> RankAccuracyCurve:
        """Return the same curve with these clusters of documents, or with none."""
        parts = self._parts() | {"clusters": clusters}
        return self._copy(self.ranks, self.accuracies, self.scores, self.documents, **parts)

    def without_documents(self) -> RankAccuracyCurve:
        """Return the accuracies alone."""
        return self._copy(self.ranks, self.accuracies, None, None, base=self.base)

    def named(self, name: str) -> RankAccuracyCurve:
        """Return the same curve under another name."""
        return self._copy(self.ranks, self.accuracies, self.scores, self.documents, name=name, **self._parts())

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("seeds", "prompts", "clusters", "strata")}

    def _copy(
        self, ranks: Sequence[int], accuracies: Vector | None, scores: Matrix | None, documents: Any, **changes: Any
    ) -> RankAccuracyCurve:
        labels = {
            key: getattr(self, key)
            for key in (
                *("task", "metric", "num_fewshot", "task_version", "higher_is_better", "bounded", "name", "inference"),
                *("max_length", "part", "unit"),
            )
        }
        labels["base"] = self.base if self.base_scores is None else self.base_scores
        return RankAccuracyCurve(ranks, accuracies, scores=scores, documents=documents, **(labels | changes))

    def _index(self, rank: int) -> int:
        if rank not in self.ranks:
            raise CurveError(f"rank {rank} was not measured. Measured: {', '.join(map(str, self.ranks))}.")
        return self.ranks.index(rank)

    def __repr__(self) -> str:
        points = ", ".join(f"{rank}: {value:.4g}" for rank, value in zip(self.ranks, self.accuracies, strict=True))
        documents = "" if self.scores is None else f", {len(self.scores)} documents"
        return f"RankAccuracyCurve({{{points}}}{documents})"


def _notice_fractions(scale: str, values: Vector, bounded: bool) -> None:
    """Warn where no accuracy in percent is above 1: they may be fractions, 100 times as large as they would be read."""
    if scale == "percent" and bounded and 0 < values.max(initial=0) <= 1 / SCALES["percent"]:
        warnings.warn(
            f"the scale is percent, and no accuracy is above {100 * values.max():g} %. If they are fractions, leave "
            "out scale='percent' (--scale percent).",
            stacklevel=3,
        )


def _mean_strata(curves: Sequence[RankAccuracyCurve]) -> Strata | None:
    known = [curve.strata for curve in curves if curve.strata is not None]
    if not known:
        return None
    return Strata(known[0].labels, np.mean([strata.values for strata in known], axis=0))
