"""SVD-LoRA, the method of a rotated folder: every prefix is the best update of its rank (Eckart and Young 1936)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aurac.errors import AdapterError
from aurac_adapters.methods.lora import Lora
from aurac_adapters.methods.method import Diagonal


@dataclass(frozen=True, kw_only=True)
class SvdLora(Lora):
    """A trained adapter after `svd_rotate`; scaling is folded into its factors, so p = 1[i <= r]."""

    name: ClassVar[str] = "svd-lora"
    in_docs: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("", "not trained: `aurac rotate` (`svd_rotate`) makes it from a trained adapter", "rule `one`"),
    )
    trainable: ClassVar[bool] = False

    def training_diagonal(self, step: int) -> Diagonal:
        """Refuse: this adapter is made from a trained one, it is not trained."""
        raise AdapterError(
            "svd-lora is made from a trained adapter (svd_rotate), it is not trained. Train lora instead."
        )

    def kept_diagonal(self, rank: int) -> Diagonal:
        """Return the prefix diagonal; both inference rules are one here."""
        return self.prefix_diagonal(rank)
