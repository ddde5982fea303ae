"""What all layouts share: pairs of factors found by the ends of their keys, turned into PEFT's orientation."""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from aurac.errors import AdapterError

if TYPE_CHECKING:
    import torch  # the names of the layouts are in a help text, which does not wait for it

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"
Factors: TypeAlias = "dict[str, tuple[torch.Tensor, torch.Tensor]]"
"""Name of a layer -> A (r, in) and B (out, r)."""


class Layout(ABC):
    """How a program stores its LoRA factors; a subclass says how its keys end and which way its factors lie.

    Attributes:
        name: In the table, and of the option.
        maker: Whose layout it is, for help and messages.
        ends: What follows the layer's name in the keys of A and of B.
        transposed: Whether A is (in, r) and B (r, out).
        alpha_end: The same for the key of alpha, where the layout stores it: the factor is alpha / r.
        gain: Factor in front of the scaling rule, where the layout has always the same.
    """

    name: ClassVar[str]
    maker: ClassVar[str]
    ends: ClassVar[tuple[str, str]]
    transposed: ClassVar[bool] = False
    alpha_end: ClassVar[str | None] = None
    gain: ClassVar[float | None] = None

    def claims(self, keys: Collection[str]) -> bool:
        """Tell whether there are keys that end as this layout's do."""
        return any(key.endswith(self.ends) for key in keys)

    def factors(self, tensors: Tensors) -> Factors:
        """Return the factors by the name that the layer has in this layout.

        Raises:
            AdapterError: If a factor is missing, there are other tensors, or they are no factors of linear layers of
                one rank.
        """
        first, second = self.ends
        stems = dict.fromkeys(key.removesuffix(end) for key in tensors for end in self.ends if key.endswith(end))
        known = {stem + end for stem in stems for end in (*self.ends, self.alpha_end) if end}
        if others := [key for key in tensors if key not in known]:
            raise AdapterError(
                f"the checkpoint holds {len(others)} tensors that are no LoRA factors of layout {self.name}, the first "
                f"{others[0]}. A LoRA folder cannot hold them; save the factors of the linear layers alone."
            )
        for key in (stem + end for stem in stems for end in self.ends):
            if key not in tensors:
                raise AdapterError(f"the checkpoint has no tensor {key}; it is incomplete. Fetch or save it again.")
        found = {stem: self._oriented(stem, tensors[stem + first], tensors[stem + second]) for stem in stems}
        if len(ranks := sorted({len(a) for a, _ in found.values()})) > 1:
            raise AdapterError(
                f"the layers have different ranks, {', '.join(map(str, ranks))}, so the adapter has no one rank. "
                "Train with one rank for all layers."
            )
        return found

    def alpha(self, tensors: Tensors) -> float | None:
        """Return the alpha that the checkpoint stores, or None.

        Raises:
            AdapterError: If layers have different ones, or some have none.
        """
        if self.alpha_end is None or not any(key.endswith(self.alpha_end) for key in tensors):
            return None
        stems = [key.removesuffix(self.ends[0]) for key in tensors if key.endswith(self.ends[0])]
        stored = {float(tensors[key]) if (key := stem + self.alpha_end) in tensors else None for stem in stems}
        if len(stored) > 1:
            shown = ", ".join("none" if alpha is None else f"{alpha:g}" for alpha in sorted(stored, key=str))
            raise AdapterError(f"the layers have different alpha, {shown}; a LoRA folder for servers has one.")
        return stored.pop()

    def module(self, stem: str, modules: Collection[str]) -> str:
        """Return the name that a layer has in the base model.

        Args:
            stem: Its name in the checkpoint.
            modules: Names of all modules of the base model.
        """
        return stem

    def _oriented(self, stem: str, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        if a.dim() != 2 or b.dim() != 2:
            raise AdapterError(f"{stem} has factors {shapes}; only those of linear layers, with 2 axes, are converted.")
        if self.transposed:
            a, b = a.T, b.T
        rank = len(a)
        if b.shape[1] != rank or rank > max(a.shape[1], b.shape[0]):
            way = "(in, r) and (r, out)" if self.transposed else "(r, in) and (out, r)"
            raise AdapterError(f"{stem} has factors {shapes}, which are not {way}, as layout {self.name} has them.")
        return a.contiguous(), b.contiguous()
