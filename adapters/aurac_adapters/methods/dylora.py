"""DyLoRA (Valipour et al. 2022, arXiv 2210.07558): a random prefix in every optimizer step, pass or row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aurac.errors import AdapterError
from aurac_adapters.methods.method import Diagonal, NestedMethod, check_rank


@dataclass(frozen=True, kw_only=True)
class DyLora(NestedMethod):
    """p = s_b * 1[i <= b], with b drawn uniformly from S for each optimizer step, from (seed, step) alone.

    Attributes:
        frozen: Whether a step changes only row b of A and column b of B, as in the original. That one draws b from all
            ranks: it is the default of `train_ranks` here, and a row outside of it is never changed. It is a mask on
            the gradient: under AdamW momentum and weight decay still move the other rows, in the original too.
        per_row: Whether every row of the batch draws its own b. It depends on (seed, step, row) alone. The gradient of
            a step is then the mean over ranks as well as over rows, so it varies less from step to step.
        per_pass: Whether every forward pass draws its own b, as in the code of the MatryoshkaLoRA authors. With
            gradient accumulation a step is then the mean over several ranks. `step` counts passes instead of steps.

    Example:
        >>> DyLora(max_rank=4, train_ranks=[4]).training_diagonal(0).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "dylora"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("", "s_b · 1[i <= b], b drawn uniformly from S by (seed, t)", "rule `one`, S = powers of two and R"),
        ("frozen=True", "the same p; only row b of A and column b of B get a gradient", "S = 1, 2, ..., R"),
        (
            "per_row=True",
            "one p for each row of the batch: s_b · 1[i <= b], b drawn from S by (seed, t, row)",
            "S = powers of two and R",
        ),
        (
            "per_pass=True",
            "s_b · 1[i <= b], b drawn for each forward pass, as in the code of the MatryoshkaLoRA authors",
            "S = powers of two and R",
        ),
    )

    added_later: ClassVar[frozenset[str]] = frozenset({"per_row", "per_pass"})

    frozen: bool = False
    per_row: bool = False
    per_pass: bool = False

    def __post_init__(self) -> None:
        """Draw from all ranks by default where every step changes one row."""
        if self.frozen and self.per_row:
            raise AdapterError(
                "frozen lets a step change one row of A, but with per_row every row of the batch would change another "
                "one. Choose one of the two."
            )
        if self.per_row and self.per_pass:
            raise AdapterError("per_row draws a rank for each row, per_pass one for all rows of a pass. Choose one.")
        if self.frozen and not self.train_ranks:
            check_rank(self.max_rank, what="max_rank")
            object.__setattr__(self, "train_ranks", tuple(range(1, self.max_rank + 1)))
        super().__post_init__()

    def sampled_rank(self, step: int, row: int = 0) -> int:
        """Return b for a step (or pass) and a row of its batch; the same in every process and after every restart."""
        # numpy reads [seed, step] and [seed, step, 0] as one seed: the first row draws what the whole step would.
        return int(np.random.default_rng([self.seed, step, row]).choice(self.train_ranks))

    @property
    def draws_each_pass(self) -> bool:
        """Whether every forward pass draws."""
        return self.per_pass

    def training_diagonal(self, step: int) -> Diagonal:
        """Return s_b * 1[i <= b]; with `per_row` that of the first row."""
        return self.prefix_diagonal(self.sampled_rank(step))

    def row_diagonals(self, step: int, rows: Sequence[int]) -> Diagonal | None:
        """Return s_b * 1[i <= b] with a b for each row, where every row draws."""
        if not self.per_row:
            return None
        return np.stack([self.prefix_diagonal(self.sampled_rank(step, row)) for row in rows])

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return the prefix diagonal, which is what this rank was trained with."""
        return self.prefix_diagonal(rank)

    def mean_diagonal(self) -> Diagonal:
        """Return the mean over b in S of s_b * 1[i <= b]: MatryoshkaLoRA's diagonal, normalised."""
        return np.asarray(np.mean([self.prefix_diagonal(rank) for rank in self.train_ranks], axis=0))

    def gradient_mask(self, step: int) -> Diagonal | None:
        """Return 1[i = b] in frozen mode, else None."""
        return (np.arange(1, self.max_rank + 1) == self.sampled_rank(step)).astype(float) if self.frozen else None
