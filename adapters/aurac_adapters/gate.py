"""The gate: PEFT's own LoRA layer, with the rank-dimension activation multiplied by g = p / s_R.

A `LoraVariant` instance in `layer.lora_variant[adapter]` replaces PEFT's own branch. PEFT scales by s_R, so a gate of
ones is plain LoRA to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.lora.layer import LoraVariant

from aurac.errors import AdapterError
from aurac_adapters.method import NestedMethod

_Key = tuple[bool, torch.device, torch.dtype]


class RankState:
    """Which rank one adapter works at, shared by all its layers.

    The gates are plain tensors, updated in place: buffers would be copied by `.to()`, broadcast by DDP and recast by
    FSDP; new tensors would make torch.compile compile once a rank. The rank may change between steps only, never
    between forward and backward.
    """

    def __init__(self, method: NestedMethod, *, inference: str = "prefix") -> None:
        """Start at the full rank and step 0."""
        method.inference_diagonal(method.max_rank, inference)  # checks the name
        self.method = method
        self.inference = inference
        self.rank: int | tuple[int, ...] = method.max_rank
        self.step = 0
        self._gates: dict[_Key, torch.Tensor] = {}

    def set_rank(self, rank: int | Sequence[int]) -> None:
        """Evaluate at this rank from now on, or at one rank for each row of the batch."""
        ranks = (rank,) if isinstance(rank, (int, np.integer)) else tuple(rank)
        for each in ranks:
            self.method.inference_diagonal(each)  # checks the range
        self.rank = int(ranks[0]) if isinstance(rank, (int, np.integer)) else tuple(int(r) for r in ranks)
        self._refresh()

    def set_step(self, step: int) -> None:
        """Train with the diagonal of this optimizer step from now on."""
        self.step = step
        self._refresh()

    def gate(self, training: bool, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return the live gate, shape (R,), or (batch, R) when every row has its own rank."""
        key = (training, device, dtype)
        if key not in self._gates:
            # A tensor made in inference mode could not take part in a later training step.
            with torch.inference_mode(False):
                self._gates[key] = torch.tensor(self.values(training), device=device, dtype=dtype)
        return self._gates[key]

    def values(self, training: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return g = p / s_R in training or at inference, shape (R,) or (batch, R)."""
        if training:
            p = self.method.training_diagonal(self.step)
        elif isinstance(self.rank, int):
            p = self.method.inference_diagonal(self.rank, self.inference)
        else:
            p = np.stack([self.method.inference_diagonal(rank, self.inference) for rank in self.rank])
        return p / self.method.scale(self.method.max_rank)

    def mask_gradient(self, gradient: torch.Tensor, *, dim: int) -> torch.Tensor:
        """Return the gradient with the rows (dim 0) or columns (dim 1) zeroed that this step may not change."""
        mask = self.method.gradient_mask(self.step)
        if mask is None:
            return gradient
        live = torch.tensor(mask, device=gradient.device, dtype=gradient.dtype)
        return gradient * (live[:, None] if dim == 0 else live)

    def _refresh(self) -> None:
        with torch.inference_mode(False), torch.no_grad():
            for (training, device, dtype), gate in list(self._gates.items()):
                values = torch.tensor(self.values(training), device=device, dtype=dtype)
                if values.shape == gate.shape:
                    gate.copy_(values)
                else:
                    self._gates[training, device, dtype] = values


class NestedVariant(LoraVariant):  # type: ignore[misc]
    """PEFT's hook for a LoRA branch of one's own; one instance serves all layers of an adapter."""

    def __init__(self, state: RankState) -> None:
        """Keep the shared state."""
        self.state = state

    def init(self, module: Any, adapter_name: str, **kwargs: Any) -> None:
        """Do nothing: the weights are plain LoRA's."""

    def supports_lora_conversion(self) -> bool:
        """Tell PEFT's `convert_to_lora`, which does not see the gate, whether the gate is all ones."""
        return bool(np.all(self.state.values(False) == 1.0))

    def forward(
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """Return result + B (g * A dropout(x)) * s_R; x is (batch, ..., in)."""
        a = active_adapter
        h = module.lora_A[a](module.lora_dropout[a](x))  # (batch, ..., R)
        gate = self.state.gate(module.training, h.device, h.dtype)[..., : module.r[a]]
        if gate.dim() == 2:
            if len(gate) != len(h):
                raise AdapterError(f"{len(gate)} ranks were set for a batch of {len(h)} rows. Give one rank a row.")
            gate = gate.view(len(gate), *[1] * (h.dim() - 2), -1)
        update: torch.Tensor = module.lora_B[a](h * gate) * module.scaling[a]
        return result + update

    def merge_safe(self, module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """Return the weight with the update at the current rank added; the gate is kept for `unmerge`."""
        return orig_weight + self._update(module, active_adapter).to(orig_weight.dtype)

    def merge_unsafe(self, module: Any, active_adapter: str, orig_weight: torch.Tensor) -> None:
        """Add the update at the current rank in place."""
        orig_weight.data += self._update(module, active_adapter).to(orig_weight.dtype)

    def unmerge(self, module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """Return the weight without the update that was merged, whatever the rank is now."""
        gate = module._cache_pop(f"{active_adapter}-nested-gate")
        return orig_weight - _gated_delta(module, active_adapter, gate).to(orig_weight.dtype)

    def _update(self, module: Any, adapter: str) -> torch.Tensor:
        if type(module) is not LoraLinear:
            raise AdapterError(
                f"{type(module).__name__} is not merged: quantised weights would be rounded. Do not merge."
            )
        if not isinstance(self.state.rank, int):
            raise AdapterError("a merged weight has one rank, but every row has its own. Set one rank first.")
        weight = module.lora_A[adapter].weight
        gate = self.state.gate(False, weight.device, weight.dtype)[: module.r[adapter]].clone()
        module._cache_store(f"{adapter}-nested-gate", gate)
        return _gated_delta(module, adapter, gate)


def _gated_delta(module: Any, adapter: str, gate: torch.Tensor) -> torch.Tensor:
    """Return PEFT's own delta weight with the rows of A multiplied by the gate."""
    weight = module.lora_A[adapter].weight
    plain = weight.data
    weight.data = plain * gate[:, None]
    try:
        return module.get_delta_weight(adapter)  # type: ignore[no-any-return]
    finally:
        weight.data = plain
