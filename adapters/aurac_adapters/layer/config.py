"""PEFT's configuration of a LoRA: whether it has sub-ranks at all, and the rank and factor of each of its layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import comb
from typing import Any

from aurac.errors import AdapterError
from aurac_adapters.layer.config_kinds import check_kinds
from aurac_adapters.layer.experts import parameters_reason
from aurac_adapters.layer.expressions import freedom
from aurac_adapters.layer.peft_methods import way_out
from aurac_adapters.methods.lora import Lora

_PREFIX = "base_model.model."
_FLOAT32_MAX = 3.4e38
_MOST_RANKS = 2**31
_COMPILING, _MOST_WORK = 5_000, 10**10
_NOT_INDEXED_BY_RANK = {
    "use_dora": ": it divides by the norm of W + B A and multiplies by a magnitude that was trained for the whole "
    "update, so its function is no W + B A, and no prefix and no LoRA has it",
    "lora_bias": "",
}
_NO_STACK_OF_RANKS = ("layer_replication", "megatron_config", "alora_invocation_tokens")
_CHANGES_BASE = "changes the base weights; a prefix would not belong to the base"
_CONVERT = (
    "convert it to plain LoRA with PEFT (save_pretrained(path_initial_model_for_weight_conversion=...)) and then "
    "rotate the result (aurac rotate): it is a difference of two halves, whose prefixes mean nothing before that"
)
_INITS = {
    "pissa": (_CHANGES_BASE, _CONVERT),
    "olora": (_CHANGES_BASE, _CONVERT),
    "corda": (_CHANGES_BASE, _CONVERT),
    "lora_ga": (_CHANGES_BASE, _CONVERT),
    "loftq": (_CHANGES_BASE, None),
    "orthogonal": ("cancels at the full rank only; a prefix would not start at the base", None),
}
_WHOLE = ("modules_to_save", "trainable_token_indices")
_OTHER_LAYERS = ("use_qalora", "use_bdlora", "kasa_config", "velora_config", "monteclora_config", "arrow_config")


def check_config(config: Mapping[str, Any], where: object) -> None:
    """Raise `AdapterError` if a configuration has no sub-ranks that mean something, and say what to do instead.

    Args:
        config: PEFT's LoRA configuration as a dictionary.
        where: File or adapter, for the message.
    """
    if config.get("peft_type") != "LORA":
        kind = config.get("peft_type")
        if kind is None:
            raise AdapterError(
                f"{where} does not say what kind of adapter it is (peft_type). Save the adapter with PEFT."
            )
        raise AdapterError(f"{where} is of type {kind!r}; only LORA has sub-ranks. {way_out(kind)}")
    for option, reason in _NOT_INDEXED_BY_RANK.items():
        if config.get(option):
            raise AdapterError(f"{where} uses {option}, which no rank indexes{reason}. Train with {option}=false.")
    if names := config.get("target_parameters"):
        raise AdapterError(f"{where} {parameters_reason([names] if isinstance(names, str) else names)}")
    for option in _NO_STACK_OF_RANKS:
        if config.get(option):
            raise AdapterError(f"{where} uses {option}, whose weights are no stack of ranks. Train without it.")
    for option in _OTHER_LAYERS:
        if config.get(option):
            raise AdapterError(f"{where} uses {option}, which is another layer than B A. Train without it.")
    init = config.get("init_lora_weights")
    for name, (reason, conversion) in _INITS.items():
        if isinstance(init, str) and init.startswith(name):
            advice = f"Train with init_lora_weights=true{'' if conversion is None else f', or {conversion}'}."
            raise AdapterError(f"{where} was initialised with {init!r}, which {reason}. {advice}")
    check_kinds(config, where)
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    for rank in ranks:
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < rank < _MOST_RANKS:
            raise AdapterError(
                f"{where} has rank {rank!r:.100}; ranks are whole numbers from 1. Save the adapter again."
            )
    for alpha in (config.get("lora_alpha"), *(config.get("alpha_pattern") or {}).values()):
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < _FLOAT32_MAX:
            raise AdapterError(f"{where} has lora_alpha {alpha!r:.100}; a positive number is needed. Save it again.")


def has_patterns(config: Mapping[str, Any]) -> str | None:
    """Return the name of the pattern that gives layers different ranks or factors, if there is one."""
    return next((name for name in ("rank_pattern", "alpha_pattern") if config.get(name)), None)


def trained_whole(config: Mapping[str, Any]) -> str | None:
    """Return the option by which more than the factors was trained; servers refuse it."""
    if config.get("bias") not in {None, "none"}:
        return "bias"
    return next((name for name in _WHOLE if config.get(name)), None)


def layer_rank(config: Mapping[str, Any], name: str) -> int:
    """Return the rank of one layer, patterns included; `name` is the key of its tensors up to `.lora_A`."""
    return int(_by_pattern(config, "rank_pattern", name, config["r"]))


def check_lookup(config: Mapping[str, Any], names: Collection[str], where: object) -> None:
    """Raise `AdapterError` where finding the rank of every layer would take more than half a minute."""
    longest = max(map(len, names), default=0)
    for option in ("rank_pattern", "alpha_pattern"):
        # PEFT puts ".*" before each; the constant is what compiling one costs.
        ways = (comb(longest + 1 + int(freedom(key)), longest) for key in config.get(option) or {})
        if len(names) * sum(_COMPILING + way for way in ways) > _MOST_WORK:
            raise AdapterError(
                f"{where}: matching {option} with {len(names)} layers, whose names have up to {longest} characters, "
                f"could take for ever. Give {option} fewer and simpler entries, such as names of layers."
            )


def layer_scaling(config: Mapping[str, Any], name: str) -> float:
    """Return PEFT's own factor in front of B A in one layer, patterns included."""
    rank = layer_rank(config, name)
    alpha = float(_by_pattern(config, "alpha_pattern", name, config["lora_alpha"]))
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def foreign_method(config: Mapping[str, Any], *, max_rank: int) -> Lora:
    """Return the method of a folder without a sidecar: the factor before B A stays what it is at full rank.

    Args:
        config: PEFT's configuration.
        max_rank: The largest rank of a layer, which patterns may make another one than `r`.

    Example:
        >>> foreign_method({"r": 4, "lora_alpha": 8, "use_rslora": True}, max_rank=4).gain  # 8 / sqrt(4)
        4.0
    """
    rank = config["r"]
    scale = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
    return Lora(max_rank=max_rank, scaling="one", gain=scale)


def _by_pattern(config: Mapping[str, Any], pattern: str, name: str, default: float) -> float:
    values: Mapping[str, float] = config.get(pattern) or {}
    if not values:
        return default
    from peft.utils.other import get_pattern_key

    return values.get(get_pattern_key(values.keys(), name.removeprefix(_PREFIX)), default)
