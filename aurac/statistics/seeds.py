"""Error of a method trained with several seeds: documents and seeds are both drawn, every seed answers every document.

For values a_is of n documents and S seeds, the variance of the grand mean is estimated by moments,
V = (MS_doc + MS_seed - MS_cell) / (n S) (Searle, Casella and McCulloch 1992; Cameron, Gelbach and Miller 2011), with
degrees of freedom after Satterthwaite (1946). The three terms are kept as parts, and the same parts serve differences,
means over tasks, and adapters that were retrained for every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.curve.seeds import SEED_UNITS, Array
from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import t_interval
from aurac.statistics.refused import check_name

TARGETS = {
    "docs": "this set of adapters, new documents of this kind",
    "docs+prompts": "this set of adapters, new documents and newly drawn few-shot examples",
    "docs+seeds": "the method: new seeds and new documents",
    "docs+seeds+prompts": "the method: new seeds, new documents and newly drawn few-shot examples",
    "seeds": "the method, on exactly these documents",
    "benchmark": "these adapters, on exactly these documents",
}
"""What is random -> what the interval is about."""
_NOTHING = 1e-24
"""Variance below which a spread is rounding."""
MIN_SEEDS = 3
"""Seeds of each method from which on two methods are tested: two seeds leave one degree of freedom for their error."""
PAIRINGS = ("independent", "shared")
CELLS = {"seeds": "cells", "prompts": "prompt cells"}
"""What is drawn beside documents -> the term of the variance that it has in common with them."""


@dataclass(frozen=True)
class Part:
    """One term of a variance: what it comes from, its value, its degrees of freedom.

    Sources are "documents", "seeds" and "cells" (documents by seeds, negative), and where few-shot examples were drawn
    several times "prompts" and "prompt cells".
    """

    source: str
    variance: float
    df: float


@dataclass(frozen=True)
class SeedEstimate:
    """A mean over documents and seeds with its error.

    Attributes:
        value: Grand mean, or difference of grand means.
        stderr: Standard error for `target`.
        df: Degrees of freedom of the error; infinite where nothing is random.
        target: A name in `TARGETS`.
        parts: Terms of the variance for target "docs+seeds"; the cell terms are negative.
        floored: Whether the sum of the terms was below one of them alone, which was then taken instead.
    """

    value: float
    stderr: float
    df: float
    target: str
    parts: tuple[Part, ...]
    floored: bool = False

    def interval(self, confidence_level: float = 0.95) -> Interval:
        """Return mean ± t * SE at the Satterthwaite degrees of freedom."""
        estimate = Estimate(self.value, self.stderr, self.df)
        return t_interval(estimate, confidence_level=confidence_level, target=self.target)


def two_way(values: npt.ArrayLike, *, target: str = "docs+seeds") -> SeedEstimate:
    """Estimate the mean of per-document scores of one method, shape (documents, seeds).

    Args:
        values: Score of every document under every seed, at least 2 of each; under every draw of few-shot examples for
            target "docs+prompts".
        target: A name in `TARGETS`.

    Raises:
        CurveError: With one seed or one document, which show no spread.

    Example:
        >>> estimate = two_way([[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]])  # seeds differ by 0.2, documents by 0.4
        >>> [round(part.variance, 6) + 0.0 for part in estimate.parts]  # 0.16 / 3, 0.02 / 2, 0
        [0.053333, 0.01, 0.0]
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise CurveError(f"values have shape {matrix.shape}. Give (documents, seeds).")
    factor = "prompts" if target == "docs+prompts" else "seeds"
    return method_estimate([matrix[:, :, None]], np.ones(1), target=target, factor=factor)


def method_estimate(
    scores: Sequence[Array],
    rank_weights: Vector,
    *,
    task_weights: Sequence[float] | None = None,
    seed_unit: str = "run",
    target: str = "docs+seeds",
    factor: str = "seeds",
) -> SeedEstimate:
    """Estimate a method's AURAC, or its mean over tasks, from several seeds.

    The same run is scored on all tasks, so the spread over seeds is taken from the mean over tasks of each seed, while
    documents are drawn for each task by itself.

    Args:
        scores: For each task, scores of shape (documents, seeds, ranks); the seeds are the same in every task.
        rank_weights: Weights of the ranks, shape (ranks,).
        task_weights: Weight of each task, summing to 1; by default all the same.
        seed_unit: "run" when one training gives all ranks (nested adapters), "rank" when every rank was trained by
            itself: its seed effects are independent, and V_seed = sum of w_k^2 s_k^2 / S.
        target: A name in `TARGETS`.
        factor: What the second axis is, a name in `CELLS`.
    """
    shares = _shares(task_weights, len(scores))
    _check(scores, rank_weights)
    documents = _document_parts([y.mean(axis=1) @ rank_weights for y in scores], shares)
    value = float(sum(share * (y.mean(axis=(0, 1)) @ rank_weights) for share, y in zip(shares, scores, strict=True)))
    return _combine(value, [*documents, *_seed_parts(scores, rank_weights, shares, seed_unit, factor)], target)


def crossed(estimates: Sequence[SeedEstimate], target: str) -> SeedEstimate:
    """Return one estimate over documents and several factors from those over documents and each factor alone.

    The variance is V_doc + sum over factors of (V_factor - V_cell): what the documents share with each factor is in
    V_doc already. An interaction of two factors (some trainings gain more from some examples) is in both, so the error
    is then too large rather than too small.

    Args:
        estimates: Of the same mean, with the same documents.
        target: What is random, a name in `TARGETS`.
    """
    others = [part for estimate in estimates for part in estimate.parts if part.source != "documents"]
    documents = [part for part in estimates[0].parts if part.source == "documents"]
    return _combine(estimates[0].value, [*documents, *others], target)


def share_of(estimate: SeedEstimate, factor: str = "seeds", *, net: bool = False) -> float:
    """Return the share of the variance that is the spread over seeds, V_seed / V; 0 where no seed differs from another.

    The noise of single cells is part of that spread, so the share is never too small; unless what is net is asked for.

    Args:
        estimate: Over documents and seeds.
        factor: "seeds", or "prompts" for the draws of few-shot examples.
        net: Take the noise of single cells off.

    Example:
        >>> round(share_of(two_way([[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]])), 3)  # 0.01 of 0.063333
        0.158
    """
    sources = (factor, CELLS[factor]) if net else (factor,)
    spread = sum(part.variance for part in estimate.parts if part.source in sources)
    return min(1.0, spread / estimate.stderr**2) if estimate.stderr > 0 and spread > _NOTHING else 0.0


def method_difference(
    a: Sequence[Array],
    b: Sequence[Array],
    rank_weights: Vector,
    *,
    task_weights: Sequence[float] | None = None,
    seeds: str = "independent",
    seed_units: tuple[str, str] = ("run", "run"),
    target: str = "docs+seeds",
    factor: str = "seeds",
) -> SeedEstimate:
    """Estimate the AURAC of method A minus that of B on the same documents, each trained with several seeds.

    Args:
        a: Scores of A for each task, shape (documents, seeds, ranks).
        b: Scores of B on the same documents; its number of seeds may differ when they are independent.
        rank_weights: Weights of the ranks, shape (ranks,).
        task_weights: Weight of each task, summing to 1; by default all the same.
        seeds: "independent", or "shared" when seed s of A and of B have the same initialisation and data order, which
            makes the difference of the two a matrix of its own.
        seed_units: "run" or "rank", for A and for B.
        target: A name in `TARGETS`.
        factor: As for `method_estimate`.
    """
    shares = _shares(task_weights, len(a))
    check_name("pairing of seeds", seeds, PAIRINGS)
    for scores in (a, b):
        _check(scores, rank_weights)
    if [len(y) for y in a] != [len(y) for y in b]:
        raise CurveError("the two methods have different numbers of documents. Align their curves first.")
    if seeds == "shared":
        if [y.shape for y in a] != [y.shape for y in b] or seed_units[0] != seed_units[1]:
            raise CurveError("shared seeds need the same number and unit of seeds in both methods.")
        difference = [x - y for x, y in zip(a, b, strict=True)]
        return method_estimate(
            difference,
            rank_weights,
            task_weights=task_weights,
            seed_unit=seed_units[0],
            target=target,
            factor=factor,
        )
    d = [(x.mean(axis=1) - y.mean(axis=1)) @ rank_weights for x, y in zip(a, b, strict=True)]
    value = float(sum(share * d_t.mean() for share, d_t in zip(shares, d, strict=True)))
    parts = _document_parts(d, shares)
    for scores, unit in zip((a, b), seed_units, strict=True):
        parts += _seed_parts(scores, rank_weights, shares, unit, factor)
    return _combine(value, parts, target)


def _document_parts(values: Sequence[Vector], shares: Vector) -> list[Part]:
    return [
        Part("documents", float(share**2 * a.var(ddof=1) / len(a)), len(a) - 1)
        for share, a in zip(shares, values, strict=True)
    ]


def _seed_parts(
    scores: Sequence[Array], rank_weights: Vector, shares: Vector, seed_unit: str, factor: str
) -> list[Part]:
    check_name("unit of seeds", seed_unit, SEED_UNITS)
    if seed_unit == "run":
        return _seed_parts_of([y @ rank_weights for y in scores], shares, factor)
    return [
        part
        for k, weight in enumerate(rank_weights)
        if weight != 0
        for part in _seed_parts_of([weight * y[:, :, k] for y in scores], shares, factor)
    ]


def _seed_parts_of(values: Sequence[Array], shares: Vector, factor: str) -> list[Part]:
    """Return MS_seed / (n S) of the mean over tasks, and -MS_cell / (n S) of each task; values are (n, S)."""
    n_seeds = values[0].shape[1]
    per_seed = np.sum([share * a.mean(axis=0) for share, a in zip(shares, values, strict=True)], axis=0)  # (S,)
    parts = [Part(factor, float(per_seed.var(ddof=1) / n_seeds), n_seeds - 1)]
    for share, a in zip(shares, values, strict=True):
        residual = a - a.mean(axis=0) - a.mean(axis=1, keepdims=True) + a.mean()
        df = (len(a) - 1) * (n_seeds - 1)
        parts.append(Part(CELLS[factor], -float(share**2 * np.square(residual).sum() / df / a.size), df))
    return parts


def _combine(value: float, parts: list[Part], target: str) -> SeedEstimate:
    """Add the parts that `target` calls random; never less than documents alone, seeds alone or prompts alone."""
    check_name("target", target, TARGETS)
    alone = {source: [part for part in parts if part.source == source] for source in ("documents", *CELLS)}
    chosen = {"docs": alone["documents"], "seeds": alone["seeds"], "benchmark": []}.get(target, parts)
    floored = False
    if "+" in target:
        larger = max(alone.values(), key=_total)
        floored = _total(parts) < _total(larger)
        chosen = larger if floored else parts
    variance = _total(chosen)
    spread = sum(part.variance**2 / part.df for part in chosen)
    df = variance**2 / spread if spread > 0 else sum(part.df for part in chosen) or np.inf
    return SeedEstimate(value, float(np.sqrt(variance)), float(df), target, tuple(parts), floored)


def _total(parts: Sequence[Part]) -> float:
    return sum(part.variance for part in parts)


def _shares(task_weights: Sequence[float] | None, n_tasks: int) -> Vector:
    if task_weights is None:
        return np.full(n_tasks, 1 / n_tasks)
    shares = np.asarray(task_weights, dtype=np.float64)
    if shares.shape != (n_tasks,) or not np.isclose(shares.sum(), 1):
        raise CurveError(f"task weights {shares.tolist()} are not {n_tasks} numbers that sum to 1.")
    return shares


def _check(scores: Sequence[Array], rank_weights: Vector) -> None:
    for y in scores:
        if y.ndim != 3 or y.shape[2] != len(rank_weights) or y.shape[1] != scores[0].shape[1]:
            raise CurveError(
                f"scores have shape {y.shape}. Give (documents, seeds, {len(rank_weights)} ranks) with the same seeds "
                "in every task."
            )
        if y.shape[1] < 2:
            raise CurveError(
                "one seed shows no spread between seeds. Train at least 2, or use the error over documents."
            )
        if y.shape[0] < 2:
            raise CurveError("one document shows no spread between documents. Score at least 2.")
