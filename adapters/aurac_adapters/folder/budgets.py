"""Budgets: an adapter at a number of parameters instead of a rank, which means a rank for each of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch

from aurac.errors import RankError
from aurac_adapters.folder.folder import AdapterFolder
from aurac_adapters.folder.retrained import RankedFolder
from aurac_adapters.layer.keys import lora_layers_of
from aurac_adapters.methods.allocation import ALLOCATIONS, Allocation, Spectrum, Vector, parameters_of, ranks_within

_ROUNDING = 1e-12
"""Share of a layer's largest energy below which there is no term; a singular value has the square root of it."""
LayerRanks = Mapping[str, int]
"""Name of a layer, as in the keys of its tensors up to `.lora_A` -> rank, from 0."""


@dataclass(frozen=True)
class Budget:
    """What an adapter is at a budget.

    Attributes:
        size: Parameters that it may have; what curves and tables name it by.
        used: Parameters that it has; ranks are whole, so these may be fewer.
        rank: The rank of all layers; None where layers have their own.
        ranks: The rank of each layer, which for a layer of a smaller full rank is that; empty for a grid.
    """

    size: int
    used: int
    rank: int | None
    ranks: LayerRanks


@dataclass(frozen=True)
class BudgetPlan:
    """An adapter at several budgets.

    Attributes:
        whole: Parameters of the whole adapter: the entries of all A and B.
        allocation: How budgets are shared out. A name in `ALLOCATIONS`.
        budgets: Size -> budget, increasing.
    """

    whole: int
    allocation: str
    budgets: Mapping[int, Budget]


def plan_budgets(found: RankedFolder, budgets: Sequence[float]) -> BudgetPlan:
    """Return what an adapter is at each budget.

    Args:
        found: A folder as `read_ranked` returns it. Its sidecar says how a budget is shared out; without one every
            layer has the same rank.
        budgets: Shares of the adapter's parameters, above 0 and up to 1, or whole numbers of parameters above 1.

    Raises:
        RankError: If there is none, one is no share and no number of parameters, or holds no rank of any layer.
    """
    if len(budgets) == 0:
        raise RankError("no budgets given. Give shares of the adapter's parameters, such as 0.25,0.5,1.")
    if not isinstance(found, AdapterFolder):
        return _of_a_grid(found, budgets)
    allocation, spectra = str(getattr(found.method, "allocate", "uniform")), spectra_of(found)
    whole = sum(len(each.energies) * each.price for each in spectra.values())
    sizes = sorted({budget_size(budget, whole) for budget in budgets})
    return BudgetPlan(whole, allocation, {size: _budget(found, spectra, allocation, size, whole) for size in sizes})


def spectra_of(found: AdapterFolder) -> dict[str, Spectrum]:
    """Return layer -> what it offers, by the key of its tensors up to `.lora_A`.

    A rotated layer has orthonormal columns in B, each times the root of its singular value, so the fourth power of a
    column's norm is the energy of its term: of the update, or where a text calibrated the rotation, of what the layer
    adds to its output on a token of that text.
    """
    tensors = found.tensors()
    return {
        layer.name: Spectrum(_energies(tensors[layer.b]), _price(tensors, layer.a, layer.b))
        for layer in lora_layers_of(tensors)
    }


def _energies(b: torch.Tensor) -> Vector:
    """Return the fourth powers of the norms of B's columns, 0 for what is rounding: rows of zeros, as padding makes."""
    energies = np.asarray((b.double().norm(dim=0) ** 4).cpu().numpy())
    return np.where(energies > _ROUNDING * energies.max(), energies, 0.0)


def parameters_at(found: RankedFolder, ranks: Sequence[int]) -> dict[int, int]:
    """Return the parameters in use at each rank, those of layers with a smaller rank whole; of a grid its adapters'."""
    if not isinstance(found, AdapterFolder):
        return {rank: _entries(found.members[rank].tensors()) for rank in ranks}
    tensors = found.tensors()
    layers = [(len(tensors[layer.a]), _price(tensors, layer.a, layer.b)) for layer in lora_layers_of(tensors)]
    return {rank: sum(min(rank, own) * price for own, price in layers) for rank in ranks}


def budget_size(budget: float, whole: int) -> int:
    """Return the parameters that a budget allows.

    Args:
        budget: A share, or a number of parameters.
        whole: Parameters of the whole adapter.

    Raises:
        RankError: If it is neither.

    Example:
        >>> budget_size(0.25, 1000), budget_size(300, 1000), budget_size(1, 1000)
        (250, 300, 1000)
    """
    allowed = f"Give a share of the adapter's {whole:,} parameters, above 0 and up to 1, or a whole number of them"
    if isinstance(budget, bool) or not isinstance(budget, (int, float, np.integer, np.floating)):
        raise RankError(f"budget {budget!r} is no number. {allowed}.")
    if not isfinite(budget) or budget <= 0:
        raise RankError(f"budget {budget:g} is not above 0. {allowed}.")
    if budget <= 1:
        return max(1, round(float(budget) * whole))
    if budget != int(budget):
        raise RankError(f"budget {budget:g} is above 1 and no whole number of parameters. {allowed}.")
    if budget > whole:
        raise RankError(f"budget {int(budget):,} is more than the whole adapter has. {allowed}.")
    return int(budget)


def _budget(found: AdapterFolder, spectra: Mapping[str, Spectrum], allocation: str, size: int, whole: int) -> Budget:
    rule: Allocation = ALLOCATIONS[allocation]
    ranks = ranks_within(spectra, allocation, size)
    used, largest = parameters_of(spectra, ranks), max(ranks.values())
    if largest == 0:
        least = _least(spectra, rule)
        advice = "" if rule.by_layer else ", or rotate it with ranks of their own for layers (aurac rotate --allocate)"
        raise RankError(
            f"budget {size:,} ({size / whole:.3g} of the adapter) holds no rank of {found.path}, whose smallest is "
            f"{least:,} parameters ({least / whole:.3g}). Give that or more{advice}."
        )
    same = not rule.by_layer or used == whole
    return Budget(size, used, largest if same else None, ranks)


def _least(spectra: Mapping[str, Spectrum], rule: Allocation) -> int:
    """Return the smallest budget that holds something."""
    firsts = {name: float(rule.scores(each)[0]) for name, each in spectra.items()}
    best = max(firsts.values())
    return sum(spectra[name].price for name, score in firsts.items() if score == best)


def _of_a_grid(found: RankedFolder, budgets: Sequence[float]) -> BudgetPlan:
    """Return the plan for adapters that were trained for one rank each: the largest that a budget holds."""
    assert not isinstance(found, AdapterFolder)
    sizes = {rank: _entries(member.tensors()) for rank, member in found.members.items()}
    whole, least = sizes[max(sizes)], min(sizes.values())
    made = {}
    for size in sorted({budget_size(budget, whole) for budget in budgets}):
        if size < least:
            raise RankError(
                f"budget {size:,} holds no adapter of {found.path}, whose smallest has {least:,} parameters "
                f"({least / whole:.3g} of the largest). Give that or more."
            )
        rank = max(rank for rank, entries in sizes.items() if entries <= size)
        made[size] = Budget(size, sizes[rank], rank, {})
    return BudgetPlan(whole, "uniform", made)


def _entries(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(tensors[key].numel() for layer in lora_layers_of(tensors) for key in (layer.a, layer.b))


def _price(tensors: Mapping[str, torch.Tensor], a: str, b: str) -> int:
    return int(tensors[a].shape[1] + tensors[b].shape[0])
