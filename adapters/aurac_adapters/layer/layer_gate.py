"""The gate of one layer: for inference rules that depend on its weights, and for layers with ranks of their own."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import torch

from aurac_adapters.layer.factors import factor_a, factor_b
from aurac_adapters.methods.inference import Gram, find_rule
from aurac_adapters.methods.method import Diagonal, NestedMethod


class State(Protocol):
    """What the gate of a layer asks the state that all layers share (`aurac_adapters.layer.gate.RankState`)."""

    @property
    def by_layer(self) -> bool:
        """Whether the inference rule depends on the weights of a layer."""

    def values(self, kind: Literal["inference"], *, gram: Gram | None = None, rank: int | None = None) -> Diagonal:
        """Return g at the current rank, or at another, for a layer with this Gram matrix; (R,) or (batch, R)."""


class LayerGate:
    """g = p / s_R of one layer at the current rank, kept up to date by the state that all layers share.

    Like the shared gate it is a plain tensor, updated in place. It follows the weights: a training step marks it as
    out of date, and setting a rank looks whether the factors were written to since.

    Attributes:
        rank: The rank of this layer alone, 0 for none; None where it is the one of all layers.
    """

    def __init__(self, state: State, layer: Any, adapter: str) -> None:
        """Keep layer and adapter; nothing is computed yet."""
        self.state, self.layer, self.adapter = state, layer, adapter
        self.stale = False
        self.rank: int | None = None
        self._gram: Gram | None = None
        self._written: tuple[int, int] | None = None
        self._live: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def gate(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return the live gate, shape (R,), or (batch, R) where every row has its own rank."""
        if self.stale:
            self.refresh()
        tensor = self._live.get((device, dtype))
        return self._create(device, dtype) if tensor is None else tensor

    def values(self) -> Diagonal:
        """Return g, shape (R,) or (batch, R)."""
        gram = self.gram() if self.state.by_layer else None
        return self.state.values("inference", gram=gram, rank=self.rank)

    def gram(self) -> Gram:
        """Return the inner products of the layer's rank-one terms, computed anew where a factor was written to."""
        a, b = factor_a(self.layer, self.adapter), factor_b(self.layer, self.adapter)
        written = None if a.is_inference() or b.is_inference() else (a._version, b._version)
        if self._gram is None or written is None or written != self._written:
            self._gram, self._written = gram_of(a.detach(), b.detach()), written
        return self._gram

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def refresh(self) -> None:
        """Write the values of the current rank and weights into the live tensors."""
        self.stale = False
        if not self._live:
            return
        with torch.inference_mode(False), torch.no_grad():
            values = torch.tensor(self.values())
            for key, tensor in self._live.items():
                if values.shape == tensor.shape:
                    tensor.copy_(values)
                else:
                    self._live[key] = values.to(tensor)

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def _create(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        with torch.inference_mode(False):  # a tensor of inference mode could not be updated outside of it
            tensor = torch.tensor(self.values(), device=device, dtype=dtype)
        self._live[device, dtype] = tensor
        return tensor


def served_diagonal(method: NestedMethod, rank: int, inference: str, a: torch.Tensor, b: torch.Tensor) -> Diagonal:
    """Return p of the layer that has these factors, A (r, in) and B (out, r), at a sub-rank; shape (R,)."""
    gram = gram_of(a, b) if find_rule(inference).by_layer else None
    return method.inference_diagonal(rank, inference, gram=gram)


def gram_of(a: torch.Tensor, b: torch.Tensor) -> Gram:
    """Return (BᵀB)∘(AAᵀ), the inner products of the rank-one terms b_i a_i, in float64.

    Args:
        a: (r, in).
        b: (out, r).

    Example:
        >>> gram_of(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])).tolist()  # ‖3 · (1, 2)‖² = 9 + 36
        [[45.0]]
    """
    a, b = a.double(), b.double()
    product: Gram = np.asarray(((b.T @ b) * (a @ a.T)).cpu().numpy())
    return product
