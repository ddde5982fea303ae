"""Allocations: how a budget of parameters is shared out over the layers of an adapter. A new rule is an entry.

A layer offers its rank-one terms in their order, each for the same price: the entries of one row of A and one column of
B. A rule gives every term a score, and a budget takes terms from the highest score down, in all layers at once, until
the next ones do not fit. So every rule is one threshold that falls as the budget grows, and a smaller budget is part of
a larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.registry import Registry

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """What a layer offers.

    Attributes:
        energies: Squared singular values of its update, in the order of its terms, shape (R_layer,).
        price: Parameters of one rank: in + out.
    """

    energies: Vector
    price: int


@dataclass(frozen=True)
class Allocation:
    """A rule that shares out a budget.

    Attributes:
        words: What it does, for help and reports.
        scores: Spectrum -> the score of each term, shape (R_layer,).
        by_layer: Whether layers of the same rank may get different ranks.
    """

    words: str
    scores: Callable[[Spectrum], Vector]
    by_layer: bool = True


def _needs(_: str, value: object) -> str | None:
    return None if isinstance(value, Allocation) else "an Allocation"


ALLOCATIONS = Registry(
    "allocation",
    {
        "uniform": "aurac_adapters.methods.allocation:UNIFORM",
        "energy": "aurac_adapters.methods.allocation:ENERGY",
        "threshold": "aurac_adapters.methods.allocation:THRESHOLD",
        "ratio": "aurac_adapters.methods.allocation:RATIO",
    },
    group="aurac.allocations",
    check=_needs,
)


def ranks_within(spectra: Mapping[str, Spectrum], allocation: str, budget: int) -> dict[str, int]:
    """Return layer -> rank for the lowest threshold whose terms have at most `budget` parameters together.

    Args:
        spectra: Layer -> what it offers.
        allocation: A name in `ALLOCATIONS`.
        budget: Parameters.

    Returns:
        Ranks from 0 to R_layer; all are 0 where the best terms do not fit.

    Example:
        >>> two = {"a": Spectrum(np.array([9.0, 4.0]), 10), "b": Spectrum(np.array([1.0, 1.0]), 10)}
        >>> ranks_within(two, "energy", 25), ranks_within(two, "uniform", 25)
        ({'a': 2, 'b': 0}, {'a': 1, 'b': 1})
    """
    scores = _scores(spectra, allocation)
    values = np.concatenate(list(scores.values()))
    prices = np.concatenate([np.full(len(own), spectra[name].price) for name, own in scores.items()])
    levels, group = np.unique(-values, return_inverse=True)  # from the best score down
    spent = np.cumsum(np.bincount(group, weights=prices))
    taken = int(np.searchsorted(spent, budget, side="right"))
    level = np.inf if taken == 0 else -levels[taken - 1]
    return {name: int((own >= level).sum()) for name, own in scores.items()}


def ranks_above(spectra: Mapping[str, Spectrum], allocation: str, level: float) -> dict[str, int]:
    """Return layer -> rank where every term with a score above `level` is kept.

    Example:
        >>> ranks_above({"a": Spectrum(np.array([90.0, 9.0, 1.0]), 10)}, "threshold", 1 - 0.95)  # 95 % of the energy
        {'a': 2}
    """
    return {name: int((own > level).sum()) for name, own in _scores(spectra, allocation).items()}


def parameters_of(spectra: Mapping[str, Spectrum], ranks: Mapping[str, int]) -> int:
    """Return the parameters of layers at these ranks."""
    return sum(rank * spectra[name].price for name, rank in ranks.items())


def _scores(spectra: Mapping[str, Spectrum], allocation: str) -> dict[str, Vector]:
    rule: Allocation = ALLOCATIONS[allocation]
    # Rounding of the factors may swap two terms; a prefix is taken, so no term counts for more than the one before.
    return {name: np.minimum.accumulate(rule.scores(spectrum)) for name, spectrum in spectra.items()}


def _order(spectrum: Spectrum) -> Vector:
    return -np.arange(len(spectrum.energies), dtype=np.float64)


def _energy(spectrum: Spectrum) -> Vector:
    """Return the energy of each term for a parameter: with it a budget keeps as much energy as can be kept."""
    return spectrum.energies / spectrum.price


def _share(spectrum: Spectrum) -> Vector:
    """Return the share of the layer's energy that is lost without this term and those behind it.

    A term is kept while the terms before it hold less than the share that is wanted, which is PEFT's rule for a rank
    between 0 and 1 in `convert_to_lora`.
    """
    tails = np.cumsum(spectrum.energies[::-1])[::-1]
    return tails / tails[0] if tails[0] > 0 else np.zeros_like(tails)


def _ratio(spectrum: Spectrum) -> Vector:
    """Return each singular value as a share of the layer's largest."""
    values = np.sqrt(spectrum.energies)
    return values / values[0] if values[0] > 0 else np.zeros_like(values)


UNIFORM = Allocation("the same rank in every layer", _order, by_layer=False)
ENERGY = Allocation("one threshold for all layers, on the energy of the update that a parameter carries", _energy)
THRESHOLD = Allocation("each layer the same share of its own energy, as PEFT's convert_to_lora", _share)
RATIO = Allocation("each layer down to the same part of its largest singular value", _ratio)
