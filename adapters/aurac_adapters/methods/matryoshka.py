"""MatryoshkaLoRA (Modoranu, Safaryan and Alistarh 2026, arXiv 2605.07850): a fixed diagonal trains all sub-ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aurac_adapters.methods.method import Diagonal, NestedMethod


@dataclass(frozen=True, kw_only=True)
class MatryoshkaLora(NestedMethod):
    """P = sum over r in S of s_r * diag(1[i <= r]): the sum of all nested adapters, in one forward pass.

    Attributes:
        normalize: Whether P is divided by |S|, as in the "binary" mask of the authors' code.

    Example:
        >>> method = MatryoshkaLora(max_rank=4, train_ranks=[1, 2, 4], scaling="one")
        >>> method.training_diagonal(0).tolist()  # the rows are in 3, 2, 1 and 1 prefixes
        [3.0, 2.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "matryoshka"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("", "Σ over r in S of s_r · 1[i <= r]", "rule `sqrt`, S = powers of two and R"),
        ("normalize=True", "the same sum divided by the number of train ranks", ""),
    )

    scaling: str = "sqrt"
    normalize: bool = False

    def training_diagonal(self, step: int) -> Diagonal:
        """Return p_i = sum over r in S with r >= i of s_r (divided by |S| when normalised)."""
        p = np.sum([self.prefix_diagonal(rank) for rank in self.train_ranks], axis=0)
        return np.asarray(p / len(self.train_ranks) if self.normalize else p)

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return p_train * 1[i <= r]: at full rank the function that was trained."""
        return self.training_diagonal(0) * (np.arange(1, self.max_rank + 1) <= rank)
