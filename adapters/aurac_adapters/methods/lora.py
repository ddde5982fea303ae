"""Plain LoRA (Hu et al. 2021, arXiv 2106.09685): p = s_R * 1, one rank in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aurac.errors import RankError
from aurac_adapters.methods.method import Diagonal, NestedMethod, check_rank


@dataclass(frozen=True, kw_only=True)
class Lora(NestedMethod):
    """LoRA at rank R; its sub-ranks are prefixes that training did not order.

    Example:
        >>> Lora(max_rank=4).training_diagonal(0).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "lora"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (("", "s_R · 1", "rule `one`"),)
    has_train_ranks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Train at the full rank only."""
        check_rank(self.max_rank, what="max_rank")
        if tuple(self.train_ranks) not in {(), (self.max_rank,)}:
            raise RankError(
                f"{self.name} is trained at its full rank {self.max_rank} only, but train ranks "
                f"{list(self.train_ranks)} were given. Leave them out, or use a method that trains sub-ranks."
            )
        object.__setattr__(self, "train_ranks", (self.max_rank,))
        super().__post_init__()

    def training_diagonal(self, step: int) -> Diagonal:
        """Return s_R * 1."""
        return np.full(self.max_rank, self.scale(self.max_rank))

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return s_R * 1[i <= r]: the factor stays what it was at full rank."""
        return self.training_diagonal(0) * (np.arange(1, self.max_rank + 1) <= rank)
