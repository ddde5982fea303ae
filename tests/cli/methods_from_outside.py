"""Adapter methods as another package would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from aurac_adapters import MatryoshkaLora
from aurac_adapters.methods.method import Diagonal, NestedMethod


@dataclass(frozen=True, kw_only=True)
class Fading(NestedMethod):
    """p_i = s_R decay^(i - 1).

    Attributes:
        decay: Factor from one column to the next.
        packing: A field that a training has, too.
    """

    name: ClassVar[str] = "fading"

    decay: float = 0.5
    strength: float = 1.0
    shape: Literal["round", "flat"] = "round"
    packing: int = 2

    def training_diagonal(self, step: int) -> Diagonal:
        return np.asarray(self.scale(self.max_rank) * self.decay ** np.arange(self.max_rank))

    def kept_diagonal(self, rank: int) -> Diagonal:
        return self.training_diagonal(0) * (np.arange(self.max_rank) < rank)


@dataclass(frozen=True, kw_only=True)
class OwnMatryoshka(MatryoshkaLora):
    """MatryoshkaLoRA with another default, and a field of the name that another method has, of another type.

    Attributes:
        strength: Whether it is strong.
    """

    name: ClassVar[str] = "own-matryoshka"

    scaling: str = "rank"
    strength: bool = False
