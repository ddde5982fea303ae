"""Inference rules: the diagonal that an adapter is served with at a sub-rank. A new rule is an entry of the table.

With the rank-one terms t_i = b_i a_i of a layer (b_i a column of B, a_i a row of A) a served update is the sum over
i <= r of d_i t_i. What a rule needs of the weights is their Gram matrix G_ij = <t_i, t_j> = (BᵀB)_ij (AAᵀ)_ij, R x R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aurac.errors import AdapterError, UnknownNameError
from aurac.registry import Registry

Vector = npt.NDArray[np.float64]
Gram = npt.NDArray[np.float64]
"""Inner products of the rank-one terms of a layer, shape (R, R)."""

_GAIN = "-gain-"
_DEPENDENT = 1e-12
"""Directions of the normalised terms whose share is smaller than this are rounding."""


class Trained(Protocol):
    """What a rule needs of a method (`aurac_adapters.methods.method.NestedMethod`): the diagonals that it knows."""

    @property
    def max_rank(self) -> int:
        """R."""

    def prefix_diagonal(self, rank: int) -> Vector:
        """Return s_r * 1[i <= r], shape (R,)."""

    def kept_diagonal(self, rank: int) -> Vector:
        """Return the trained diagonal, cut at the rank, shape (R,)."""


@dataclass(frozen=True)
class InferenceRule:
    """How an adapter is served at a sub-rank.

    Attributes:
        words: What it does, for help and reports.
        diagonal: (method, rank, Gram matrix of the layer) -> d, shape (R,), zero above the rank.
        by_layer: Whether d depends on the weights, so that every layer has its own.
    """

    words: str
    diagonal: Callable[[Trained, int, Gram], Vector]
    by_layer: bool = False


def _needs(_: str, value: object) -> str | None:
    return None if isinstance(value, InferenceRule) else "an InferenceRule"


INFERENCES = Registry(
    "inference rule",
    {
        "prefix": "aurac_adapters.methods.inference:PREFIX",
        "trained": "aurac_adapters.methods.inference:TRAINED",
        "matched": "aurac_adapters.methods.inference:MATCHED",
        "projected": "aurac_adapters.methods.inference:PROJECTED",
    },
    group="aurac.inference_rules",
    check=_needs,
)


def split_gain(inference: str) -> tuple[str, float]:
    """Return the name of the rule and the gain behind it.

    Raises:
        UnknownNameError: If there is no such rule.
        AdapterError: If the gain is not a positive number.

    Example:
        >>> split_gain("prefix-gain-4"), split_gain("matched")
        (('prefix', 4.0), ('matched', 1.0))
    """
    name, marked, text = inference.partition(_GAIN)
    if name not in INFERENCES:
        raise UnknownNameError("inference rule", inference, INFERENCES)
    try:
        gain = float(text) if marked else 1.0
    except ValueError:
        gain = float("nan")
    if not (np.isfinite(gain) and gain > 0):
        raise AdapterError(
            f"inference rule {inference!r}: the gain {text!r} is not a positive number, such as 4 or 0.5."
        )
    return name, gain


def with_gain(inference: str, gain: float | None) -> str:
    """Return the rule served with this gain instead of its own; None leaves it as it is.

    Example:
        >>> with_gain("prefix", 4.0), with_gain("prefix-gain-4", 1.0), with_gain("matched", None)
        ('prefix-gain-4', 'prefix', 'matched')
    """
    name, own = split_gain(inference)
    chosen = own if gain is None else gain
    served = name if chosen == 1 else f"{name}{_GAIN}{chosen:g}"
    split_gain(served)  # checks the gain
    return served


def served(inference: str | None, gain: float | None, own: str) -> str | None:
    """Return the rule that was asked for; None for the adapter's own.

    Args:
        inference: Given rule.
        gain: Given gain.
        own: The rule in the adapter's folder.
    """
    if gain is None:
        return inference
    return with_gain(inference or (own if own.split("-")[0] in INFERENCES else next(iter(INFERENCES))), gain)


def find_rule(inference: str) -> InferenceRule:
    """Return the rule behind a name, with or without a gain."""
    rule: InferenceRule = INFERENCES[split_gain(inference)[0]]
    return rule


def _matched(method: Trained, rank: int, gram: Gram) -> Vector:
    """Return c * 1[i <= r] with c = ‖sum of p_i t_i‖ / ‖sum of t_i‖ over i <= r: the norm that was trained."""
    used = min(rank, len(gram))  # a layer may have fewer rows
    p = method.kept_diagonal(rank)[:used]
    if np.all(p == p[0]):
        factor = p[0]  # the prefix is what was trained, up to this factor
    else:
        inner = gram[:used, :used]
        trained, plain = max(p @ inner @ p, 0.0), inner.sum()
        # Without a norm of its own, as before the first step, there is nothing to scale.
        factor = np.sqrt(trained / plain) if plain > _DEPENDENT * np.trace(inner) else p.mean()
    return _fill(method, np.full(used, factor))


def _projected(method: Trained, rank: int, gram: Gram) -> Vector:
    """Return d with the least ‖sum over all i of p_i t_i - sum over i <= r of d_i t_i‖: G_rr d = G_r: p."""
    size = len(gram)
    used = min(rank, size)
    p = method.kept_diagonal(method.max_rank)[:size]
    if used == size:
        return _fill(method, p)
    norms = np.sqrt(np.diag(gram)[:used])
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    # Terms of norm 1 are solved for, so that large and small ones count alike in what is called dependent.
    inner = gram[:used, :used] * scale[:, None] * scale
    solution = np.linalg.lstsq(inner, scale * (gram[:used] @ p), rcond=_DEPENDENT)[0]
    return _fill(method, scale * solution)


def _fill(method: Trained, first: Vector) -> Vector:
    d = np.zeros(method.max_rank)
    d[: len(first)] = first
    return d


PREFIX = InferenceRule("s_r on the first r rows, as in the paper", lambda method, rank, _: method.prefix_diagonal(rank))
TRAINED = InferenceRule("the trained diagonal, cut at r", lambda method, rank, _: method.kept_diagonal(rank))
MATCHED = InferenceRule("one factor for each layer: the norm of the trained update, cut at r", _matched, by_layer=True)
PROJECTED = InferenceRule("the diagonal nearest to the whole trained update, for each layer", _projected, by_layer=True)
