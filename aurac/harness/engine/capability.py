"""What a model's attention can take: found from its configuration and by trying, never from its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from aurac.harness.engine.batches import Budget, is_out_of_memory
from aurac.harness.engine.forward import Forward, cache_keyword
from aurac.harness.engine.plan import make_plan
from aurac.harness.engine.queries import Query, make_query
from aurac.harness.engine.score import score
from aurac.harness.engine.work import Work

# Summed over a few tokens. A wrong mask or position moves them by far more, in models that have learned anything.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
LOW_PRECISION_TOLERANCE = 0.5
MASKED = (
    "sdpa",
    "eager",
)  # attention that takes any mask; flash and flex attention are replaced by SDPA, the same function


@dataclass(frozen=True)
class Capability:
    """How a model is driven.

    Attributes:
        level: "shared": each distinct prefix once. "rows": every input on its own, logits only where asked. "hflm":
            HFLM's own code.
        reason: Why the level is not "shared"; None if it is.
        provisional: Whether the trial decided nothing, because the model's logits were not numbers at this rank.
    """

    level: Literal["shared", "rows", "hflm"]
    reason: str | None = None
    provisional: bool = False


class _NotNumbersError(Exception):
    """The model's own logits are not numbers, so there is nothing to compare with."""


def inspect_model(lm: Any) -> Capability:
    """Find the fastest way that gives the right numbers, by its configuration and by a trial."""
    if lm.backend != "causal":
        return Capability("hflm", "encoder-decoder model")
    if not isinstance(lm.model.get_output_embeddings(), torch.nn.Module):
        return Capability("hflm", "the model names no output embedding")
    try:
        reason = _refusal(lm) or _trial(lm, share=True)
        if reason is None:
            return Capability("shared")
        failed = _trial(lm, share=False)
    except _NotNumbersError:
        return Capability("hflm", "the model's logits are not numbers at this rank", provisional=True)
    return Capability("rows", reason) if failed is None else Capability("hflm", f"{reason}; {failed}")


def _refusal(lm: Any) -> str | None:
    """Read from the configuration why prefixes cannot be shared."""
    config = lm.model.config.get_text_config(decoder=True)
    if cache_keyword(lm.model) is None:
        return "the model takes no key-value cache"
    if getattr(config, "alibi", False) or getattr(config, "position_embedding_type", "") == "alibi":
        return "ALiBi position biases"
    # GPT-Neo looks up who sees whom by place in the cache, in a table as long as the window; packs reach beyond it.
    if any(table.ndim == 4 and table.dtype == torch.bool for table in lm.model.buffers()):
        return "a causal table by place in the cache"
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if foreign := kinds - {"full_attention", "sliding_attention"}:
        return f"layers without plain attention ({', '.join(sorted(foreign))})"
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True) and window < lm.max_length:
        return f"sliding-window attention ({window} tokens)"
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if rope.get("rope_type", rope.get("type")) in ("dynamic", "longrope"):
        return "rotary positions that depend on the length of the input"
    return None


def _trial(lm: Any, *, share: bool) -> str | None:
    """Score a few random tokens our way and HFLM's; say what differs."""
    queries = _trial_queries(lm)
    # A header of 8 tokens, two documents behind it, one with choices of different lengths.
    plan = make_plan(queries, share=share, pack=True, header=8) if share else make_plan(queries, share=False)
    try:
        with masks_allowed(lm.model):
            answers = score(plan, make_forward(lm, Work()), budget=Budget(4096, None, lm.vocab_size))
            wanted = np.array([_plainly(lm, query) for query in queries])
    except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        return f"the model refused it ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
    if not np.isfinite(wanted).all():
        raise _NotNumbersError
    off = float(np.abs(answers.total[list(plan.slots)] - wanted).max())
    if not off <= TOLERANCE.get(_dtype(lm), LOW_PRECISION_TOLERANCE):
        return f"a trial gave other numbers (off by {off:.2g})"
    return None


def _trial_queries(lm: Any) -> list[Query]:
    size = lm.model.get_input_embeddings().weight.shape[0]
    tokens = np.random.default_rng(0).integers(0, size, 32).tolist()
    header, first, second, third = tokens[:8], tokens[8:12], tokens[12:15], tokens[15:]
    pairs = [
        (header + first, third[:3]),
        (header + first, third[3:8]),
        (header + first, [*third[3:5], third[8]]),
        (header + second, third[9:10]),
    ]
    return [make_query(context, continuation, window=lm.max_length) for context, continuation in pairs]


def _plainly(lm: Any, query: Query) -> float:
    """Log-probability by one ordinary forward call, all logits computed."""
    logits = lm._model_call(torch.from_numpy(query.tokens.astype(np.int64))[None].to(lm.device))
    logp = torch.log_softmax(logits[0, -len(query.targets) :], dim=-1, dtype=torch.float32).cpu()
    return float(logp[range(len(query.targets)), query.targets.tolist()].sum())


def _dtype(lm: Any) -> torch.dtype:
    dtype: torch.dtype = lm.mixed_precision_dtype or lm.model.dtype
    return dtype


def make_forward(lm: Any, work: Work) -> Forward:
    """Return the caller of the LM's model that counts into `work`."""
    return Forward(lm.model, device=lm.device, work=work, autocast=lm.mixed_precision_dtype)


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
