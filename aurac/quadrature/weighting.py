"""From a grid of ranks, an axis and a rule to the weight of each rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError, RefusedError, UnknownNameError
from aurac.quadrature.axes import Axis, Vector, axis_named, positions
from aurac.quadrature.rules import REFUSED_RULES, RULES, rule_named


def weights(
    ranks: Sequence[int],
    axis: str | Axis = "log2",
    rule: str = "trapezoid",
    *,
    within: tuple[float, float] | None = None,
    prior: Mapping[int, float] | Sequence[float] | None = None,
) -> Vector:
    """Return the weight of each rank; AURAC is the weighted sum of the accuracies.

    Args:
        ranks: Strictly increasing ranks, K of them. They are not sorted for you, since weights would lose their order.
        axis: A name in `AXES`: "log2" counts every doubling alike, "linear" every rank; or an `Axis`.
        rule: A name in `RULES`. "left" is the expected accuracy when a rank budget is uniform on the axis and only
            measured ranks may be deployed; the trapezoid is the mean of "left" and "right".
        within: Only this part of the rank range, its ends interpolated on the same axis (trapezoid only). Equal ends
            give the interpolated accuracy at that rank.
        prior: Deployment mix for rule "prior", one non-negative number a rank; normalised for you.

    Returns:
        Weights, shape (K,), that sum to 1. One rank has weight 1.

    Raises:
        CurveError: If ranks, range, or prior do not fit each other.
        RefusedError: For a rule in `REFUSED_RULES`, such as "simpson" on the linear axis, and for any rule that gives a
            rank a negative weight, such as "simpson" on unevenly spaced ranks.
        UnknownNameError: If axis or rule is in no table.

    Example:
        >>> weights([1, 2, 4], axis="linear").tolist()  # widths 1 and 2: (0.5, 0.5 + 1, 1) / 3
        [0.16666666666666666, 0.5, 0.3333333333333333]
        >>> weights([1, 2, 4], axis="log2").tolist()
        [0.25, 0.5, 0.25]
    """
    grid = check_ranks(ranks)
    along = axis_named(axis)
    name = "simpson-linear" if (rule, along.name) == ("simpson", "linear") else rule
    if name in REFUSED_RULES:
        raise RefusedError(f"rule {rule!r} is refused: {REFUSED_RULES[name]}")
    if rule not in RULES:
        raise UnknownNameError("integration rule", rule, RULES)
    if (rule == "prior") != (prior is not None):
        raise CurveError(f"rule {rule!r} and prior={prior!r} do not go together. Give prior= with rule='prior', only.")
    if within is not None:
        if rule != "trapezoid":
            raise CurveError(f"a partial range needs rule 'trapezoid', not {rule!r}. Drop within= or the rule.")
        return _within(grid, within, along)
    if prior is not None:
        return _prior(grid, prior)
    if len(grid) == 1:
        return np.ones(1)
    return _not_negative(rule_named(rule)(positions(along, grid)), grid, rule, along)


_TOLD_APART = 2**53  # as float64; no adapter comes near


def check_ranks(ranks: Sequence[int]) -> Vector:
    """Return the ranks as floats, shape (K,), or raise `CurveError` naming the first that is wrong."""
    grid = as_floats(ranks, "ranks", "positive whole numbers")
    if grid.ndim != 1 or grid.size == 0:
        raise CurveError(f"ranks must be a list of numbers, at least one; got shape {grid.shape}.")
    for rank in grid:
        if not np.isfinite(rank) or rank != np.floor(rank):
            raise CurveError(f"rank {rank:g} is not a whole number; ranks count columns of the adapter, from 1.")
        if rank <= 0:
            raise CurveError(
                f"rank {rank:g} is not positive; ranks count from 1. Leave it out; in Python base= takes "
                "the score of the base model."
            )
        if rank >= _TOLD_APART:
            raise CurveError(f"rank {rank:g} is too large; a rank is less than 2**53. Correct it.")
    for before, after in pairwise(grid):
        if after == before:
            raise CurveError(f"rank {after:g} occurs twice. Give each rank once.")
        if after < before:
            raise CurveError(f"ranks are not increasing: {before:g} comes before {after:g}. Sort them.")
    return grid


def as_floats(values: npt.ArrayLike, what: str, wanted: str = "numbers") -> npt.NDArray[np.float64]:
    """Return an array of floats; what a masked array hides is not read.

    Args:
        values: Numbers, in any shape.
        what: What they are, for the message.
        wanted: What they should be.

    Raises:
        CurveError: If they are no numbers, or some of them are masked.

    Example:
        >>> as_floats(np.ma.array([0.5, 0.9], mask=[False, True]), "accuracies")
        Traceback (most recent call last):
        aurac.errors.CurveError: 1 of the accuracies is masked, at position 1. Leave it out, or fill it in.
    """
    if np.ma.isMaskedArray(values) and (hidden := np.argwhere(np.ma.getmaskarray(values))).size:
        first = ", ".join(map(str, hidden[0].tolist()))
        are, it = ("is", "it") if len(hidden) == 1 else ("are", "them")
        raise CurveError(
            f"{len(hidden)} of the {what} {are} masked, {'' if it == 'it' else 'the first '}at position {first}. Leave "
            f"{it} out, or fill {it} in."
        )
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise CurveError(f"{what} must be {wanted}, got {values!r:.300}.") from exc
    if found.ndim == 1 and any(isinstance(value, (bool, np.bool_)) for value in np.asarray(values, dtype=object)):
        raise CurveError(f"{what} must be {wanted}, and true or false is none, got {values!r:.300}.")
    return found


def effective_ranks(rank_weights: npt.ArrayLike) -> float:
    """Return K_eff = 1 / sum of w_k^2, the number of ranks that a score really rests on.

    Example:
        >>> effective_ranks([0.25, 0.5, 0.25])  # 1 / 0.375
        2.6666666666666665
    """
    return float(1.0 / np.square(np.asarray(rank_weights, dtype=np.float64)).sum())


def _not_negative(made: Vector, grid: Vector, rule: str, axis: Axis) -> Vector:
    """Return the weights, or raise `RefusedError` where one is negative: a score could then lie above 1."""
    negative = [f"{rank:g}" for rank, weight in zip(grid, made, strict=True) if weight < -1e-12]
    if negative:
        raise RefusedError(
            f"rule {rule!r} gives rank {', '.join(negative)} a negative weight on the {axis} axis, so that a better "
            "answer there would lower the score. Use rule='trapezoid', or ranks at more even distances on the axis."
        )
    return made


def _prior(grid: Vector, prior: Mapping[int, float] | Sequence[float]) -> Vector:
    if isinstance(prior, Mapping):
        if {float(rank) for rank in prior} != set(grid):
            raise CurveError(f"prior names the ranks {sorted(prior)}, the curve has {grid.astype(int).tolist()}.")
        prior = [prior[int(rank)] for rank in grid]
    mix = as_floats(prior, "prior")
    if mix.shape != grid.shape:
        raise CurveError(f"prior has {mix.size} numbers for {grid.size} ranks. Give one number a rank.")
    if not np.isfinite(mix).all() or (mix < 0).any() or mix.sum() == 0:
        raise CurveError(f"prior must be non-negative numbers, not all 0, got {mix.tolist()}.")
    return np.asarray(mix / mix.sum())


def _within(grid: Vector, within: tuple[float, float], axis: Axis) -> Vector:
    """Integrate the hat function of every rank over [lo, hi] exactly: they are linear between neighbouring knots."""
    low, high = within
    if not (grid[0] <= low <= high <= grid[-1]):
        raise CurveError(
            f"the range {low:g}..{high:g} is not inside the measured ranks {grid[0]:g}..{grid[-1]:g}, and curves are "
            "not extrapolated. Give two ranks between them, the smaller one first."
        )
    x, start, stop = positions(axis, grid), *axis(np.array([low, high], dtype=np.float64))
    knots = np.unique(np.concatenate([[start], x[(x > start) & (x < stop)], [stop]]))
    hats = np.stack([np.interp(knots, x, row) for row in np.eye(len(x))])  # (K, knots)
    return np.asarray(hats[:, 0] if start == stop else np.trapezoid(hats, knots, axis=1) / (stop - start))
