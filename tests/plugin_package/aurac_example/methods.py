"""A method with a field of its own, which becomes `--decay` and the recipe key `decay`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aurac_adapters.methods.method import Diagonal, NestedMethod


@dataclass(frozen=True, kw_only=True)
class DecayLora(NestedMethod):
    """Trains with a diagonal that falls by the same factor with every doubling of the rank.

    Attributes:
        decay: Factor from a rank to twice the rank.
    """

    name: ClassVar[str] = "decay"

    decay: float = 0.5

    def training_diagonal(self, step: int) -> Diagonal:
        """Return p_i = s_R * decay^log2(i)."""
        ranks = np.arange(1, self.max_rank + 1)
        return np.asarray(self.scale(self.max_rank) * self.decay ** np.log2(ranks))

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return p_train * 1[i <= r]."""
        return self.training_diagonal(0) * (np.arange(1, self.max_rank + 1) <= rank)
