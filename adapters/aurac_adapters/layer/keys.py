"""The names of adapted layers, read from the keys of an adapter's tensors; no tensor is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "base_model.model."
"""What PEFT puts before the name that a layer has in the base model."""

# PEFT names the factors of linear layers and of embedding layers differently; both are A (r, in) and B (out, r).
_FACTORS = ((".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B"))


@dataclass(frozen=True)
class Layer:
    """The keys of the two factors of one adapted layer.

    Attributes:
        name: Key up to `.lora_A`, for instance `base_model.model.model.layers.0.self_attn.q_proj`.
        a: Key of A, shape (r, in).
        b: Key of B, shape (out, r).
    """

    name: str
    a: str
    b: str

    @property
    def inner(self) -> str:
        """The name of the layer in the base model."""
        return self.name.removeprefix(PREFIX)


def lora_layers_of(keys: Iterable[str]) -> list[Layer]:
    """Return the adapted layers, in the order of the keys; one of a layer's factors may be missing.

    Example:
        >>> [layer.inner for layer in lora_layers_of(["base_model.model.head.lora_A.weight"])]
        ['head']
    """
    found = (
        Layer(name, name + ends[0], name + ends[1])
        for key in keys
        for ends in _FACTORS
        for end in ends
        if (name := key.removesuffix(end)) != key
    )
    return list(dict.fromkeys(found))
