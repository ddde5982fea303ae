"""A diagonal that is learned with the factors: MatryoshkaLoRA's order of the ranks, without its fixed numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from aurac_adapters.methods.lora import Lora
from aurac_adapters.methods.method import Diagonal, Values

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class LearnedMatryoshka(Lora):
    """p_i = sum over j >= i of softplus(theta_j), so p_1 > p_2 > ... > p_R > 0, with R numbers theta for all layers.

    Training begins with steps of s_R / R: p falls evenly from s_R to s_R / R. The diagonal is kept at inference.

    Example:
        >>> LearnedMatryoshka(max_rank=4).training_diagonal(0).round(6).tolist()
        [1.0, 0.75, 0.5, 0.25]
    """

    name: ClassVar[str] = "learned-matryoshka"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (
        (
            "",
            "Σ over j >= i of softplus(θ_j), θ learned with the factors: R numbers for all layers; p falls evenly from "
            "s_R to s_R / R at first",
            "rule `one`, inference `trained`",
        ),
    )
    default_inference: ClassVar[str] = "trained"

    def initial_parameters(self) -> Values:
        """Return theta, shape (R,), with softplus(theta_j) = s_R / R."""
        step = self.scale(self.max_rank) / self.max_rank
        return {"theta": np.full(self.max_rank, step + np.log(-np.expm1(-step)), dtype=np.float32)}

    def learned_diagonal(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return p, shape (R,)."""
        from torch.nn.functional import softplus

        return softplus(parameters["theta"]).flip(0).cumsum(0).flip(0)

    def training_diagonal(self, step: int) -> Diagonal:
        """Return p as it was learned, or as training begins."""
        import torch

        p = self.learned_diagonal({name: torch.tensor(value) for name, value in self.parameters.items()})
        return p.double().numpy()
