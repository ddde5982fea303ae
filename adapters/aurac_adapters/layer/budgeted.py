"""An adapter whose size is set by a budget of parameters: what a sweep over budgets calls its rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aurac.errors import RankError


class Ranked(Protocol):
    """What is asked of the adapter inside."""

    def set_rank(self, rank: int) -> None:
        """Be this rank in every layer."""

    def set_base(self) -> None:
        """Be the base model."""


class RankedByLayer(Ranked, Protocol):
    """An adapter whose layers can have ranks of their own."""

    def set_layer_ranks(self, ranks: Mapping[str, int]) -> None:
        """Be these ranks."""


class BudgetedAdapter:
    """Sets ranks by the parameters that they may have together.

    Attributes:
        adapter: The adapter inside; its ranks are set through this object alone.
        max_rank: Parameters of the whole adapter.
        point: What a sweep calls what it sets.
    """

    point = "budget"

    def __init__(self, adapter: Ranked | RankedByLayer, choices: Mapping[int, int | Mapping[str, int]], whole: int):
        """Keep the adapter, and budget -> one rank for all layers, or layer -> rank."""
        self.adapter, self.max_rank, self._choices = adapter, whole, choices

    @property
    def merged(self) -> bool:
        """Whether ranks are merged into the base weights."""
        return bool(getattr(self.adapter, "merged", False))

    def set_rank(self, size: int) -> None:
        """Be this budget from now on.

        Raises:
            RankError: If it is not one that was planned.
        """
        if size not in self._choices:
            raise RankError(f"budget {size} was not planned. Planned: {', '.join(map(str, self._choices))}.")
        chosen = self._choices[size]
        if isinstance(chosen, int):
            self.adapter.set_rank(chosen)
        else:
            self.adapter.set_layer_ranks(chosen)  # type: ignore[union-attr]

    def set_base(self) -> None:
        """Be the base model from now on, until a budget is set."""
        self.adapter.set_base()
