"""The gate: PEFT's own LoRA layer, with the rank-dimension activation multiplied by g = p / s_R.

A `LoraVariant` instance in `layer.lora_variant[adapter]` replaces PEFT's own branch. PEFT scales by s_R, so a gate of
ones is plain LoRA to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from peft.tuners.lora.layer import Embedding as LoraEmbedding
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.lora.layer import LoraVariant
from torch import nn

from aurac.errors import AdapterError, RankError
from aurac_adapters.layer.factors import factor_a
from aurac_adapters.layer.layer_gate import LayerGate
from aurac_adapters.layer.parameters import values_of
from aurac_adapters.methods.inference import Gram, find_rule
from aurac_adapters.methods.method import Diagonal, NestedMethod, check_rank

Kind = Literal["training", "inference", "gradient"]
Ranks = int | Sequence[int] | torch.Tensor | np.ndarray[Any, Any]
"""One rank, or one for each row of the batch."""


class RankState:
    """Which rank one adapter works at, shared by all its layers.

    The gates are plain tensors, updated in place: buffers would be copied by `.to()`, broadcast by DDP and recast by
    FSDP; new tensors would make torch.compile compile once a rank. The rank may change between steps only, never
    between forward and backward.
    """

    def __init__(self, method: NestedMethod, *, inference: str = "prefix") -> None:
        """Start at the full rank and step 0."""
        self.by_layer = find_rule(inference).by_layer
        self.method = method
        self.inference = inference
        self.rank: int | tuple[int, ...] = method.max_rank
        self.step = 0
        self.rows: Sequence[int] = (0,)
        self.layer_gates: list[LayerGate] = []
        self.parameters = nn.ParameterDict()
        self.stale = False
        self._live: dict[tuple[Kind, torch.device, torch.dtype], torch.Tensor] = {}

    def set_rank(self, rank: Ranks) -> None:
        """Evaluate at this rank from now on, or at one rank for each row of the batch."""
        given = rank.tolist() if isinstance(rank, (torch.Tensor, np.ndarray, np.generic)) else rank
        ranks = tuple(given) if isinstance(given, Sequence) else (given,)
        if not ranks:
            raise RankError("no ranks were given for the rows of the batch. Give one rank, or one for each row.")
        for each in ranks:
            check_rank(each, self.method.max_rank)
        self.rank = tuple(int(each) for each in ranks) if isinstance(given, Sequence) else int(ranks[0])
        self._refresh("inference")
        for own in self.layer_gates:
            own.rank = None
            own.refresh()

    def set_layer_ranks(self, ranks: Mapping[LayerGate, int]) -> None:
        """Evaluate every layer at a rank of its own from now on, 0 for none; `rank` is then the largest.

        Args:
            ranks: The gate of each layer -> rank, from 0 to R.
        """
        self.set_rank(max(*ranks.values(), 1))
        for own, rank in ranks.items():
            own.rank = rank
            own.refresh()

    def set_step(self, step: int, *, rows: Sequence[int] = (0,)) -> None:
        """Train with the diagonal of this optimizer step, or with those of these rows of its batch, from now on."""
        self.step, self.rows = step, rows
        self._refresh("training")
        self._refresh("gradient")
        self.stale = bool(self.parameters)  # the step will change what the diagonal at inference is made of
        for each in self.layer_gates:
            each.stale = True

    def gate(self, training: bool, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return the live gate, shape (R,), or (batch, R) where every row has its own diagonal."""
        if training and self.parameters:
            p = self.method.learned_diagonal(dict(self.parameters.items()))
            exact = p.to(device, torch.promote_types(dtype, torch.float32))
            return (exact / self.method.scale(self.method.max_rank)).to(dtype)
        if self.stale and not training:
            self._follow()
        return self.live("training" if training else "inference", device, dtype)

    def learned(self) -> NestedMethod:
        """Return the method with what it has learned until now; all processes call it where weights are shared out."""
        return self.method.with_parameters(values_of(self.parameters)) if self.parameters else self.method

    def live(self, kind: Kind, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return the tensor that holds `values(kind)` from now on, whatever rank or step is set."""
        tensor = self._live.get((kind, device, dtype))
        return self._create(kind, device, dtype) if tensor is None else tensor

    def values(self, kind: Kind, *, gram: Gram | None = None, rank: int | None = None) -> Diagonal:
        """Return g = p / s_R in training or at inference, or the 0/1 mask of the gradient; (R,) or (batch, R).

        Args:
            kind: Which of them.
            gram: Of a layer, for inference rules that depend on its weights.
            rank: Of a layer that has its own, 0 for none.
        """
        method = self.learned()
        if kind == "gradient":
            mask = method.gradient_mask(self.step)
            return np.ones(method.max_rank) if mask is None else mask
        if kind == "training":
            of_rows = method.row_diagonals(self.step, self.rows)
            p = method.training_diagonal(self.step) if of_rows is None else of_rows
        elif rank == 0:
            p = np.zeros(method.max_rank)
        elif rank is not None:
            p = method.inference_diagonal(rank, self.inference, gram=gram)
        elif isinstance(self.rank, int):
            p = method.inference_diagonal(self.rank, self.inference, gram=gram)
        else:
            p = np.stack([method.inference_diagonal(rank, self.inference, gram=gram) for rank in self.rank])
        return p / method.scale(method.max_rank)

    def mask_gradient(self, gradient: torch.Tensor, *, dim: int) -> torch.Tensor:
        """Return the gradient with the rows (dim 0) or columns (dim 1) zeroed that this step may not change."""
        mask = self.live("gradient", gradient.device, gradient.dtype)[: gradient.shape[dim]]
        return gradient * (mask[:, None] if dim == 0 else mask)

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def _create(self, kind: Kind, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        # A tensor made in inference mode could not take part in a later training step.
        with torch.inference_mode(False):
            tensor = torch.tensor(self.values(kind), device=device, dtype=dtype)
        self._live[kind, device, dtype] = tensor
        return tensor

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def _follow(self) -> None:
        self.stale = False
        self._refresh("inference")

    def _refresh(self, kind: Kind) -> None:
        live = [(key, tensor) for key, tensor in self._live.items() if key[0] == kind]
        if not live:
            return
        with torch.inference_mode(False), torch.no_grad():
            values = torch.tensor(self.values(kind))
            for key, tensor in live:
                if values.shape == tensor.shape:
                    tensor.copy_(values)
                else:
                    self._live[key] = values.to(tensor)


class NestedVariant(LoraVariant):  # type: ignore[misc]
    """PEFT's hook for a LoRA branch of one's own; each layer of an adapter has one, and all share a state."""

    def __init__(self, state: RankState, layer: Any, adapter: str) -> None:
        """Keep the shared state, and have a gate for this layer alone where the inference rule depends on it."""
        self.state = state
        self.own: LayerGate | None = None
        if state.by_layer:
            self.own_gate(layer, adapter)

    def own_gate(self, layer: Any, adapter: str) -> LayerGate:
        """Return the gate for this layer alone, made where there is none yet."""
        if self.own is None:
            self.own = LayerGate(self.state, layer, adapter)
            self.state.layer_gates.append(self.own)
        return self.own

    def init(self, module: Any, adapter_name: str, **kwargs: Any) -> None:
        """Do nothing: the weights are plain LoRA's."""

    def supports_lora_conversion(self) -> bool:
        """Tell PEFT's `convert_to_lora`, which does not see the gate, whether the gate is all ones."""
        values = self.state.values("inference") if self.own is None else self.own.values()
        return bool(np.all(values == 1.0))

    def gate(self, training: bool, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return the live gate of this layer, shape (R,) or (batch, R)."""
        if training or self.own is None:
            return self.state.gate(training, device, dtype)
        return self.own.gate(device, dtype)

    def forward(
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """Return result + B (g * A dropout(x)) * s_R; x is (batch, ..., in)."""
        a = active_adapter
        h = module.lora_A[a](module.lora_dropout[a](x))  # (batch, ..., R)
        update: torch.Tensor = module.lora_B[a](self.gated(module, a, h)) * module.scaling[a]
        return result + update

    def gated(self, module: Any, adapter: str, h: torch.Tensor) -> torch.Tensor:
        """Return g * h for the activation h of shape (batch, ..., R)."""
        gate = self.gate(module.training, h.device, h.dtype)[..., : module.r[adapter]]
        if gate.dim() == 2:
            if module.training and h.dim() > 2:
                gate = gate[: len(h)]  # the last batch of an epoch may be shorter
            if len(gate) != len(h):
                raise AdapterError(f"{len(gate)} ranks were set for a batch of {len(h)} rows. Give one rank a row.")
            gate = gate.view(len(gate), *[1] * (h.dim() - 2), -1)
        return h * gate

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
        if type(module) not in (LoraLinear, LoraEmbedding):
            raise AdapterError(
                f"{type(module).__name__} is not merged: quantised weights would be rounded. Do not merge."
            )
        if not isinstance(self.state.rank, int):
            raise AdapterError("a merged weight has one rank, but every row has its own. Set one rank first.")
        weight = factor_a(module, adapter)
        gate = self.gate(False, weight.device, weight.dtype)[: module.r[adapter]].clone()
        module._cache_store(f"{adapter}-nested-gate", gate)
        return _gated_delta(module, adapter, gate)


class NestedEmbeddingVariant(NestedVariant):
    """The same for embedding layers, where A is looked up instead of multiplied."""

    def forward(
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """Return result + B (g * A[:, x]) * s_R; x holds token ids, (batch, ...)."""
        a = active_adapter
        h = module._embed(  # (batch, ..., R)
            x, module.lora_embedding_A[a].T, input_fn=module.input_fns.get(a), output_fn=module.output_fns.get(a)
        )
        update: torch.Tensor = (self.gated(module, a, h) @ module.lora_embedding_B[a].T) * module.scaling[a]
        if (scale := module._get_embed_scale()) is not None:  # Gemma's embeddings multiply by a constant
            update = update * scale.to(update.dtype)
        return result + update


def _gated_delta(module: Any, adapter: str, gate: torch.Tensor) -> torch.Tensor:
    """Return PEFT's own delta weight with the rows of A multiplied by the gate."""
    weight = factor_a(module, adapter)
    plain = weight.data
    weight.data = plain * gate[:, None]
    try:
        return module.get_delta_weight(adapter)  # type: ignore[no-any-return]
    finally:
        weight.data = plain
