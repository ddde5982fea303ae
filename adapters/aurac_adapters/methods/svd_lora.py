"""SVD-LoRA, the method of a rotated folder: every prefix is the best update of its rank (Eckart and Young 1936)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from aurac.errors import AdapterError
from aurac_adapters.methods.allocation import ALLOCATIONS
from aurac_adapters.methods.lora import Lora
from aurac_adapters.methods.method import Diagonal


@dataclass(frozen=True, kw_only=True)
class SvdLora(Lora):
    """A trained adapter after `svd_rotate`; scaling is folded into its factors, so p = 1[i <= r].

    Attributes:
        allocate: How a budget of parameters is shared out over the layers. A name in `ALLOCATIONS`.
        calibration: sha256 of the text whose activations weighted the rotation; empty for none.
    """

    name: ClassVar[str] = "svd-lora"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("", "not trained: `aurac rotate` (`svd_rotate`) makes it from a trained adapter", "rule `one`"),
    )
    trainable: ClassVar[bool] = False
    added_later: ClassVar[frozenset[str]] = frozenset({"allocate", "calibration"})

    allocate: str = field(default="uniform", metadata={"choices": lambda: tuple(ALLOCATIONS), "called": "allocation"})
    calibration: str = ""

    def training_diagonal(self, step: int) -> Diagonal:
        """Refuse: this adapter is made from a trained one, it is not trained."""
        raise AdapterError(
            "svd-lora is made from a trained adapter (svd_rotate), it is not trained. Train lora instead."
        )

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return the prefix diagonal; both inference rules are one here."""
        return self.prefix_diagonal(rank)
