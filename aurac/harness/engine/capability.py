"""What a model's attention can take: found from its configuration and by trying, never from its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from aurac.harness.engine.forward import cache_keyword
from aurac.harness.engine.trial import LEAST, NotNumbersError, try_out

# Layers that are full attention for inputs up to a length; the settings that hold the length; what they are called.
_LOCAL = {
    "sliding_attention": ("sliding_window", "sliding-window attention"),
    "chunked_attention": ("attention_chunk_size", "attention in chunks"),
}
_FULL = "full_attention"
Level = Literal["shared", "rows", "hflm"]
COSTS: Mapping[Level, str] = {
    "shared": "",
    "rows": "Each input is read on its own: what prompts share is read again for every answer.",
    "hflm": "HFLM's own code answers them, no faster than a loop of lm-eval.",
}
"""What a level costs, for warnings; what it did cost stands in the table of the run."""
# Words in settings of attention that looks at some of the keys; and settings that have them for another reason.
_SOME_KEYS = ("window", "block_size", "attention_chunk", "local_att", "n_local", "sparse_att", "index_topk", "logn")
_OTHERS = {"max_window_layers"}


@dataclass(frozen=True)
class Limit:
    """A length of input up to which prefixes can be shared, and what is no longer so beyond it."""

    tokens: int
    reason: str


@dataclass(frozen=True)
class Capability:
    """How a model is driven.

    Attributes:
        level: "shared": each distinct prefix once. "rows": every input on its own, logits only where asked. "hflm":
            HFLM's own code.
        reason: Why the level is not "shared"; None if it is.
        provisional: Whether the trial decided nothing, because the model's logits were not numbers at this rank.
        limit: Longer inputs go one level down; None if there is no such length.
        room: Tokens that a row may hold, of a model that looks up something by place in the row; None otherwise.
    """

    level: Level
    reason: str | None = None
    provisional: bool = False
    limit: Limit | None = None
    room: int | None = None


def inspect_model(lm: Any) -> Capability:
    """Find the fastest way that gives the right numbers, by its configuration and by a trial."""
    if lm.backend != "causal":
        return Capability("hflm", "encoder-decoder model")
    if not isinstance(lm.model.get_output_embeddings(), torch.nn.Module):
        return Capability("hflm", "the model names no output embedding")
    limit = _limit(lm)
    try:
        reason = _refusal(lm, limit) or try_out(lm, share=True)
        if reason is None:
            return Capability("shared", limit=limit, room=_room(lm.model))
        failed = try_out(lm, share=False)
    except NotNumbersError:
        return Capability("hflm", "the model's logits are not numbers at this rank", provisional=True)
    return Capability("rows", reason) if failed is None else Capability("hflm", f"{reason}; {failed}")


def counts_keys(lm: Any) -> bool:
    """Tell whether a model's attention may depend on how many keys there are, in a way that a short trial misses.

    So it is for code that came with a model, and where a setting speaks of windows, blocks or the like.
    """
    config = lm.model.config.get_text_config(decoder=True)
    if not type(config).__module__.startswith("transformers."):
        return True
    return any(
        value and value is not True and any(word in name for word in _SOME_KEYS)
        for name, value in config.to_dict().items()
        if name not in _OTHERS
    )


def _refusal(lm: Any, limit: Limit | None) -> str | None:
    """Read from the configuration why prefixes cannot be shared."""
    config = lm.model.config.get_text_config(decoder=True)
    if cache_keyword(lm.model) is None:
        return "the model takes no key-value cache"
    if getattr(config, "alibi", False) or getattr(config, "position_embedding_type", "") == "alibi":
        return "ALiBi position biases"
    # GPT-Neo looks up who sees whom by place in the cache, in a table as long as the window; packs reach beyond it.
    if any(table.ndim == 4 and table.dtype == torch.bool for table in lm.model.buffers()):
        return "a causal table by place in the cache"
    if foreign := _layer_types(config) - {_FULL, *_LOCAL}:
        return f"layers without plain attention ({', '.join(sorted(foreign))})"
    if limit is not None and limit.tokens < LEAST:
        return limit.reason
    return None


def _limit(lm: Any) -> Limit | None:
    """Return the smallest length from which on a model's attention or positions are others."""
    config = lm.model.config.get_text_config(decoder=True)
    found = [limit for limit in _limits(config) if limit.tokens < lm.max_length]
    return min(found, key=lambda limit: limit.tokens, default=None)


def _room(model: torch.nn.Module) -> int | None:
    """Return the length of the shortest table of ids by place, as BigBird has one of positions and one of types."""
    tables = (b for b in model.buffers() if b.dtype == torch.int64 and b.ndim == 2 and len(b) == 1 and b.shape[1] > 1)
    return min((table.shape[1] for table in tables), default=None)


def _limits(config: Any) -> Iterator[Limit]:
    layers = _layer_types(config)
    for layer, (setting, name) in _LOCAL.items():
        length = getattr(config, setting, None)
        used = layer in layers or not getattr(config, "layer_types", None)
        if isinstance(length, int) and length and used and getattr(config, "use_sliding_window", True):
            yield Limit(length, f"{name} ({length} tokens)")
    if isinstance(most := getattr(config, "index_topk", None), int):
        yield Limit(most, f"attention to the {most} best keys")
    for rope in _ropes(config):
        if rope.get("rope_type", rope.get("type")) in ("dynamic", "longrope"):
            length = (
                rope.get("original_max_position_embeddings")
                or getattr(config, "original_max_position_embeddings", None)
                or config.max_position_embeddings
            )
            # At this length itself, positions are still those of a longer input before.
            yield Limit(int(length) - 1, f"rotary positions that depend on the length, from {length} tokens on")


def _ropes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of rotary positions, of which layers of different types may have different ones."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    yield rope
    yield from (value for value in rope.values() if isinstance(value, Mapping))


def _layer_types(config: Any) -> set[str]:
    return set(getattr(config, "layer_types", None) or [_FULL])
