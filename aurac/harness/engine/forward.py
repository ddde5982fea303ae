"""One call of the model: token rows in, logits of the asked positions out.

The rows are taken in a hook before the output embedding, so whatever the model does to its logits (soft-capping,
scaling) stays in the model, and the vocabulary is multiplied with the asked rows only.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache

from aurac.harness.engine.work import Work

MASKED = ("sdpa", "eager")  # attention that takes any mask; flash and flex are replaced by SDPA, the same function


def cache_keyword(model: Any) -> str | None:
    """Name under which a model takes its key-value cache: "cache", "past_key_values" (older), or None."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(base.forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in known), None)


class Forward:
    """Calls a model and counts what it did.

    Args:
        model: A causal language model, possibly wrapped by PEFT.
        device: Where token ids go.
        work: Where tokens, rows and calls are counted.
        autocast: Type for mixed precision, or None.
        profiled: Whether to count what the model's arithmetic takes; on a GPU the clock then waits for it.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        work: Work,
        autocast: torch.dtype | None = None,
        profiled: bool = False,
    ) -> None:
        self.model, self.device, self.work, self.autocast = model, device, work, autocast
        self.profiled = profiled
        self.cache_keyword = cache_keyword(model)
        self.additive_masks = model.config._attn_implementation == "eager"

    @torch.no_grad()
    def __call__(
        self,
        tokens: NDArray[np.int32],
        *,
        rows: NDArray[np.int64],
        real: int,
        positions: NDArray[np.int64] | None = None,
        visible: torch.Tensor | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """Return the logits after some of the tokens.

        Args:
            tokens: Shape (batch, length).
            rows: Indices into the flattened tokens whose logits are wanted, shape (n,); may be empty.
            real: How many of the tokens are no padding.
            positions: Shape (batch or 1, length); None lets the model count.
            visible: Boolean, shape (batch or 1, 1, length, cached + length): who sees whom; None is causal.
            cache: Read and extended; None if nothing follows.

        Returns:
            Shape (n, vocabulary), in the model's type.
        """
        arguments: dict[str, Any] = {}
        if cache is not None:
            assert self.cache_keyword is not None  # such models are not driven with a cache
            arguments[self.cache_keyword] = cache
        if positions is not None:
            arguments["position_ids"] = torch.from_numpy(positions).to(self.device)
        if visible is not None:
            # One mask for all rows is repeated as a view: XGLM and its kin check the size instead of broadcasting.
            arguments["attention_mask"] = self._mask(visible).expand(len(tokens), -1, -1, -1)
        wanted = torch.from_numpy(rows)
        self.work.forward_calls += 1
        self.work.tokens_forwarded += tokens.size
        self.work.padding_tokens += tokens.size - real

        projecting = 0.0

        def take_rows(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            nonlocal projecting
            projecting = self._now()
            hidden = inputs[0].flatten(0, -2)[wanted.to(inputs[0].device)]  # (n, width)
            self.work.rows_projected += len(hidden)
            return (hidden[None], *inputs[1:])

        ids = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
        enabled = self.autocast is not None
        started = self._now()
        with (
            self.model.get_output_embeddings().register_forward_pre_hook(take_rows),
            torch.autocast(self.device.type, dtype=self.autocast, enabled=enabled),
        ):
            output = self.model(ids, use_cache=cache is not None, **arguments)
        if self.profiled:
            self.work.computed("forward", projecting - started)
            self.work.computed("projection", self._now() - projecting)
        logits: torch.Tensor = output.logits[0]
        return logits

    @contextmanager
    def softmax(self) -> Iterator[None]:
        """Count the time inside as that of a softmax, or of a choice among logits."""
        started = self._now()
        yield
        if self.profiled:
            self.work.computed("softmax", self._now() - started)

    def _now(self) -> float:
        """Return the time in seconds; where it is counted, after all that a GPU was asked for."""
        if self.profiled and self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        """What the attention takes: booleans for SDPA, additive values for eager attention."""
        if not self.additive_masks:
            return visible.to(self.device)
        dtype = self.model.dtype
        return torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min).to(self.device)


def make_forward(lm: Any, work: Work) -> Forward:
    """Return the caller of the LM's model that counts into `work`."""
    profiled = lm.profiled or lm.device.type == "cpu"  # where it costs nothing
    return Forward(lm.model, device=lm.device, work=work, autocast=lm.mixed_precision_dtype, profiled=profiled)


@contextmanager
def masks_allowed(model: Any) -> Iterator[None]:
    """Use SDPA inside where the model's attention (flash, flex) takes no arbitrary mask; it is the same function."""
    own = model.config._attn_implementation
    if own in MASKED:
        yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


def causal_behind(header: int, length: int) -> torch.Tensor:
    """Mask of shape (1, 1, length, header + length): the header, oneself and what came before.

    Example:
        >>> causal_behind(1, 2)[0, 0].int().tolist()
        [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(length, header + length, dtype=torch.bool).tril_(header)[None, None]


def pad_rows(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Right-pad with zeros to a rectangle, shape (len(rows), longest).

    Example:
        >>> pad_rows([np.array([1, 2]), np.array([3])]).tolist()
        [[1, 2], [3, 0]]
    """
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=rows[0].dtype)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded
