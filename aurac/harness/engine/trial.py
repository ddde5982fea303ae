"""The engine's way of calling a model beside an ordinary forward call, on a few tokens: are they one function?

Where the model rounds (bfloat16, quantised layers) both are computed in float32 with the same weights, because what
rounding alone changes is as much as a wrong mask may. Where that cannot be done, the model's own noise is the measure:
how far the ordinary call is from itself when other rows lie beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aurac.harness.engine.batches import Budget, is_out_of_memory
from aurac.harness.engine.forward import Forward, masks_allowed
from aurac.harness.engine.plan import HEADER, make_plan
from aurac.harness.engine.precision import in_float32, rounds
from aurac.harness.engine.queries import Query, make_query
from aurac.harness.engine.score import score
from aurac.harness.engine.work import Work

# Nats, summed over a few tokens in float32, and the share of longer sums. A wrong mask or position moves them by far
# more, in models that have learned anything.
TOLERANCE, RELATIVE = 1e-3, 1e-4
NOISE, FLOOR = 2.0, 0.05  # twice the model's own noise, and nats that are noise in any such model
DRAWS = 10
LEAST = 17  # tokens of the longest sequence of a trial
TOKENS = 4096  # of a batch

_REFUSALS = (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError)
_Numbers = NDArray[np.float64]


class NotNumbersError(Exception):
    """The model's own logits are not numbers, so there is nothing to compare with."""


def try_out(lm: Any, queries: Sequence[Query] | None = None, *, share: bool) -> str | None:
    """Score a few sequences the engine's way and by ordinary calls; say what differs, None where nothing does.

    Args:
        lm: The engine.
        queries: What to score; by default a header with two documents behind it, of random tokens.
        share: Whether prefixes are shared.

    Raises:
        NotNumbersError: If the ordinary calls give no numbers.
    """
    with masks_allowed(lm.model):
        return _compare(lm, queries, share)


def _compare(lm: Any, queries: Sequence[Query] | None, share: bool) -> str | None:
    asked = random_queries(lm, 0) if queries is None else queries
    way = _Way(lm, share, 8 if queries is None else HEADER, lm.mixed_precision_dtype)
    # All logits of long sequences may not fit into memory; rows of their own, with few logits, were tried out before.
    by_rows = queries is not None
    try:
        ours, wanted = way.ours(asked), way.by_rows(asked) if by_rows else way.plain(asked)
    except _REFUSALS as error:
        if is_out_of_memory(error):
            raise
        return f"the model refused it ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
    if not np.isfinite(wanted).all():
        raise NotNumbersError
    if not np.isfinite(ours).all():
        return "a trial gave logits that are not numbers"
    if way.mixed is not None or rounds(lm.model):
        exact = replace(way, mixed=None)
        try:
            with in_float32(lm.model):
                ours, wanted = exact.ours(asked), exact.by_rows(asked) if by_rows else exact.plain(asked)
        except _REFUSALS as error:  # layers that take no float32
            if is_out_of_memory(error):
                raise
            return _above_noise(way)
    off = np.abs(ours - wanted)
    if not (off <= TOLERANCE + RELATIVE * np.abs(wanted)).all():
        return f"a trial gave other numbers (off by {off.max():.2g})"
    return None


def random_queries(lm: Any, seed: int) -> list[Query]:
    """Return a header of 8 tokens and two documents behind it, one with choices of different lengths."""
    size = lm.model.get_input_embeddings().weight.shape[0]
    tokens = np.random.default_rng(seed).integers(0, size, 32).tolist()
    header, first, second, third = tokens[:8], tokens[8:12], tokens[12:15], tokens[15:]
    pairs = [
        (header + first, third[:3]),
        (header + first, third[3:8]),
        (header + first, [*third[3:5], third[8]]),
        (header + second, third[9:10]),
    ]
    return [make_query(context, continuation, window=lm.max_length) for context, continuation in pairs]


@dataclass(frozen=True)
class _Way:
    """The two ways of scoring; `mixed` is the type of mixed precision."""

    lm: Any
    share: bool
    header: int
    mixed: torch.dtype | None

    def ours(self, queries: Sequence[Query]) -> _Numbers:
        """Return the log-probabilities by the engine's plan."""
        model = self.lm.model
        plan = make_plan(queries, share=self.share, header=self.header)
        budget = Budget(TOKENS, None, model.get_input_embeddings().weight.shape[0])
        caller = Forward(model, device=self.lm.device, work=Work(), autocast=self.mixed)
        return score(plan, caller, budget=budget).total[list(plan.slots)]

    def by_rows(self, queries: Sequence[Query]) -> _Numbers:
        """Return them by calls in which every sequence is a causal row, without anything before it."""
        return replace(self, share=False).ours(queries)

    def plain(self, queries: Sequence[Query], *, beside: bool = False) -> _Numbers:
        """Return them by ordinary calls, each sequence alone or `beside` the others, which changes rounding only."""
        found = []
        for query in queries:
            rows = [query.tokens, *([other.tokens for other in queries] if beside else [])]
            longest = max(map(len, rows))
            padded = np.stack([np.pad(row, (0, longest - len(row))) for row in rows]).astype(np.int64)
            logits = self.call(torch.from_numpy(padded).to(self.lm.device))[0, : len(query.tokens)]
            logp = torch.log_softmax(logits[-len(query.targets) :], dim=-1, dtype=torch.float32).cpu()
            found.append(float(logp[range(len(query.targets)), query.targets.tolist()].sum()))
        return np.array(found)

    @torch.no_grad()
    def call(self, tokens: torch.Tensor) -> torch.Tensor:
        """Call the model as HFLM does."""
        with torch.autocast(tokens.device.type, dtype=self.mixed, enabled=self.mixed is not None):
            logits: torch.Tensor = self.lm.model(tokens).logits
        return logits


def _above_noise(way: _Way) -> str | None:
    """Judge by several draws of random tokens, against the model's own noise."""
    way = replace(way, header=8)
    draws = [random_queries(way.lm, seed) for seed in range(DRAWS)]
    wanted = np.concatenate([way.plain(queries) for queries in draws])
    off = np.abs(np.concatenate([way.ours(queries) for queries in draws]) - wanted)
    noise = np.abs(np.concatenate([way.plain(queries, beside=True) for queries in draws]) - wanted)
    if not off.mean() <= NOISE * noise.mean() + FLOOR:
        return f"trials gave other numbers (off by {off.mean():.2g}, the model's own noise is {noise.mean():.2g})"
    return None
