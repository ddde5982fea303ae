"""The keys of an adapter file as PEFT writes them: what wrappers and raw state dicts add to them is taken out again.

PEFT drops a key that it does not know without an error, so an adapter whose keys were saved from inside
`torch.compile`, DDP or FSDP loads as one that does nothing. Everything here works on names; no tensor is needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aurac.errors import AdapterError
from aurac_adapters.layer.keys import PREFIX

WRAPPERS: Mapping[str, str] = {
    "_orig_mod": "torch.compile",
    "module": "DDP or DataParallel",
    "_fsdp_wrapped_module": "FSDP",
    "_fpw_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_forward_module": "Lightning Fabric",
    "_original_module": "Lightning Fabric",
    "_module": "Opacus",
}
"""Names of the attribute in which a wrapper holds what it wraps; layers of transformers have none of them."""
_BEFORE_THE_PREFIX = ("model", "base_model", "pretrained_model", "policy", "actor", "network")
"""Attributes of classes that hold a whole PEFT model: Lightning modules, TRL's models with a value head."""
_PAIR = PREFIX.rstrip(".").split(".")
_A, _B = ("lora_A", "lora_embedding_A"), ("lora_B", "lora_embedding_B")
_FACTORS = (*_A, *_B)
_PLAIN = re.compile(r"[\w.]+")
# The other tensors with an adapter's name in them when they come from `model.state_dict()`, and what follows the name.
_WHOLE = ".modules_to_save."
_NAMED = {"modules_to_save": 1, "trainable_tokens_delta": 0}
_EMBEDDINGS = (
    "embed_tokens", "wte", "wpe", "word_embeddings", "tok_embeddings", "embed_in", "embed_positions",
    "position_embeddings", "token_embedding", "embeddings", "shared",
)  # fmt: skip
"""Layers that look numbers of tokens up, of which PEFT calls the factors `lora_embedding_A` and `lora_embedding_B`."""


@dataclass(frozen=True)
class CleanKeys:
    """What the keys of a file mean.

    Attributes:
        names: Key in the file -> key as PEFT writes it.
        note: One sentence on what was taken out or added; None where the file is as PEFT writes it.
    """

    names: Mapping[str, str]
    note: str | None


@dataclass
class _Changes:
    """What was taken out of the keys or added, with the number of keys."""

    counts: Counter[str] = field(default_factory=Counter)
    adapters: Counter[str] = field(default_factory=Counter)


def clean_keys(keys: Collection[str], where: object) -> CleanKeys:
    """Return every key as PEFT writes it: `base_model.model.<layer>.lora_A.weight` and the like.

    Args:
        keys: As they stand in the file.
        where: The file, for messages.

    Raises:
        AdapterError: For a wrapper that is not known, a factor that is none, two keys that mean the same, or several
            adapters in one file.

    Example:
        >>> clean_keys(["_orig_mod.base_model.model.head.lora_A.default.weight"], "file").names
        {'_orig_mod.base_model.model.head.lora_A.default.weight': 'base_model.model.head.lora_A.weight'}
    """
    changes = _Changes()
    given = set(keys)
    # Where tokens were added PEFT saves a layer that was trained whole twice: as such, and as the embedding that it is.
    twice = {key for key in given if key.startswith(PREFIX) and key.replace(_WHOLE, ".") in given - {key}}
    names = {key: key if key in twice else _clean(key, changes, where) for key in keys}
    if len(changes.adapters) > 1:
        listed = ", ".join(map(repr, sorted(changes.adapters)))
        raise AdapterError(f"{where} holds several adapters, {listed}. Save one of them alone (save_pretrained).")
    _refuse_duplicates(names, where)
    changes.counts.update({f"adapter name {name!r} left out": count for name, count in changes.adapters.items()})
    said = ", ".join(f"{what} ({count} of {len(names)} keys)" for what, count in changes.counts.items())
    note = f"the weights have keys that PEFT would not find; they are read as it writes them: {said}." if said else None
    return CleanKeys(names, note)


def clean_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose names of layers have no wrappers in them; expressions stay as they are.

    Example:
        >>> clean_names({"r": 8, "target_modules": ["_orig_mod.model.layers.0.self_attn.q_proj"]})
        {'r': 8, 'target_modules': ['model.layers.0.self_attn.q_proj']}
    """
    cleaned = dict(config)
    for option in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(names := config.get(option), list):
            cleaned[option] = [_clean_name(name) for name in names]
    for option in ("rank_pattern", "alpha_pattern"):
        if isinstance(pattern := config.get(option), dict):
            cleaned[option] = {_clean_name(name): value for name, value in pattern.items()}
    return cleaned


def _clean_name(name: Any) -> Any:
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPERS) or name


def _clean(key: str, changes: _Changes, where: object) -> str:
    parts = key.split(".")
    kept = [part for part in parts if part not in WRAPPERS]
    # One change for each key, however often a wrapper stands in it.
    changes.counts.update(f"{part}. of {WRAPPERS[part]} left out" for part in dict.fromkeys(parts) if part in WRAPPERS)
    inner = _without_prefix(kept, key, changes, where)
    at = next((number for number, part in enumerate(inner) if part in _FACTORS), None)
    inner = _other(inner, changes, key, where) if at is None else _factor(inner, at, changes, key, where)
    if unknown := next((part for part in inner if part.startswith("_")), None):
        raise AdapterError(f"{where}: the key {key} {_UNKNOWN.format(unknown)}")
    return PREFIX + ".".join(inner)


_UNKNOWN = (
    "has {!r} in it, which is no layer of a model but a wrapper that is not known. Take the wrapper out of the keys, "
    "or save the unwrapped model (save_pretrained)."
)


def _without_prefix(parts: Sequence[str], key: str, changes: _Changes, where: object) -> list[str]:
    """Return what follows the last `base_model.model.`, and take note of one too few or too many."""
    starts = [n for n in range(len(parts) - 1) if list(parts[n : n + 2]) == _PAIR]
    if not starts:
        if parts and parts[0] == _PAIR[0]:
            raise AdapterError(f"{where}: the key {key} starts with {_PAIR[0]}. and not with {PREFIX} Save it again.")
        changes.counts[f"{PREFIX} added"] += 1
        return list(parts)
    before = list(parts[: starts[-1]])
    others = [part for n, part in enumerate(before) if not {n, n - 1} & set(starts)]
    if unknown := next((part for part in others if part not in _BEFORE_THE_PREFIX), None):
        raise AdapterError(f"{where}: the key {key} {_UNKNOWN.format(unknown)}")
    changes.counts.update(f"{part}. before {PREFIX} left out" for part in dict.fromkeys(others))
    if len(starts) > 1:
        changes.counts[f"doubled {PREFIX} left out"] += 1
    return list(parts[starts[-1] + 2 :])


def _factor(parts: Sequence[str], at: int, changes: _Changes, key: str, where: object) -> list[str]:
    """Return the parts of a factor's key: no adapter name, and the end that PEFT gives to this kind of layer."""
    layer, rest = list(parts[:at]), list(parts[at + 1 :])
    if not layer:
        raise AdapterError(f"{where}: the key {key} names no layer before {parts[at]}. Save the adapter again.")
    if rest and rest[0] != "weight":
        changes.adapters[rest.pop(0)] += 1
    if rest not in ([], ["weight"]):
        raise AdapterError(
            f"{where}: the key {key} is no factor of a LoRA; {parts[at]}.weight is the end that PEFT gives it. Save "
            "the adapter again."
        )
    factor = "A" if parts[at] in _A else "B"
    if parts[at].startswith("lora_embedding") or layer[-1] in _EMBEDDINGS:
        end = [f"lora_embedding_{factor}"]
    else:
        end = [f"lora_{factor}", "weight"]
    if [parts[at], *rest] != end:
        changes.counts[f"{'.'.join([parts[at], *rest])} read as {'.'.join(end)}"] += 1
    return [*layer, *end]


def _other(parts: Sequence[str], changes: _Changes, key: str, where: object) -> list[str]:
    """Return the parts of the key of a tensor that is no factor, such as a head that was trained whole."""
    kept = list(parts)
    for name, follows in _NAMED.items():
        if name in kept and (after := kept.index(name) + 1) + follows < len(kept):
            changes.adapters[kept.pop(after)] += 1
    if "modules_to_save" in kept:
        kept.remove("modules_to_save")
    if strange := next((part for part in kept if part.startswith("lora_")), None):
        raise AdapterError(
            f"{where}: the key {key} has {strange!r} in it, which is no factor of a plain LoRA. Give an adapter of "
            "lora_A and lora_B alone."
        )
    return kept


def _refuse_duplicates(names: Mapping[str, str], where: object) -> None:
    first: dict[str, str] = {}
    for key, name in names.items():
        if name in first:
            raise AdapterError(
                f"{where} holds {first[name]} and {key}, which are both {name}. Keep the one that was trained last."
            )
        first[name] = key
