"""DyLoRA (Valipour et al. 2022, arXiv 2210.07558): a random prefix in every optimizer step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aurac_adapters.method import Diagonal, NestedMethod, check_rank


@dataclass(frozen=True, kw_only=True)
class DyLora(NestedMethod):
    """p = s_b * 1[i <= b], with b drawn uniformly from S for each optimizer step, from (seed, step) alone.

    Attributes:
        frozen: Whether a step changes only row b of A and column b of B, as in the original, which draws b from all
            ranks: that is the default of `train_ranks` here, and a row outside of it is never changed. It is a mask on
            the gradient: under AdamW momentum and weight decay still move the other rows, in the original too.

    Example:
        >>> DyLora(max_rank=4, train_ranks=[4]).training_diagonal(0).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "dylora"

    frozen: bool = False

    def __post_init__(self) -> None:
        """Draw from all ranks by default where every step changes one row."""
        if self.frozen and not self.train_ranks:
            check_rank(self.max_rank, what="max_rank")
            object.__setattr__(self, "train_ranks", tuple(range(1, self.max_rank + 1)))
        super().__post_init__()

    def sampled_rank(self, step: int) -> int:
        """Return b for an optimizer step; the same for every process and after every restart."""
        return int(np.random.default_rng([self.seed, step]).choice(self.train_ranks))

    def training_diagonal(self, step: int) -> Diagonal:
        """Return s_b * 1[i <= b]."""
        return self.prefix_diagonal(self.sampled_rank(step))

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return the prefix diagonal, which is what this rank was trained with."""
        return self.prefix_diagonal(rank)

    def mean_diagonal(self) -> Diagonal:
        """Return the mean over b in S of s_b * 1[i <= b]: MatryoshkaLoRA's diagonal, normalised."""
        return np.asarray(np.mean([self.prefix_diagonal(rank) for rank in self.train_ranks], axis=0))

    def gradient_mask(self, step: int) -> Diagonal | None:
        """Return 1[i = b] in frozen mode, else None."""
        return (np.arange(1, self.max_rank + 1) == self.sampled_rank(step)).astype(float) if self.frozen else None
