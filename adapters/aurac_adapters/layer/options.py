"""Options in an adapter's configuration that PEFT does not know: it leaves them out with a warning, or without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KNOWN = frozenset({
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "auto_mapping", "base_model_name_or_path", "bias",
    "corda_config", "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode",
    "init_lora_weights", "kasa_config", "layer_replication", "layers_pattern", "layers_to_transform", "loftq_config",
    "lora_alpha", "lora_bias", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "modules_to_save",
    "monteclora_config", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern", "revision",
    "runtime_config", "target_modules", "target_parameters", "task_type", "trainable_token_indices", "use_bdlora",
    "use_dora", "use_qalora", "use_rslora", "velora_config",
})  # fmt: skip
"""Fields of PEFT's `LoraConfig`; a test compares them with those of the PEFT that is installed."""


def unknown_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that PEFT does not know and that are switched on: their value is not false, 0, null or empty.

    Example:
        >>> unknown_options({"r": 8, "use_superlora": True, "use_other": False})
        {'use_superlora': True}
    """
    return {name: value for name, value in config.items() if name not in KNOWN and value}


def known_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without the options that PEFT does not know, as PEFT itself saves it again."""
    return {name: value for name, value in config.items() if name in KNOWN}


def unknown_note(config: Mapping[str, Any]) -> str | None:
    """Return one sentence on the options that are left out, or None."""
    if not (found := unknown_options(config)):
        return None
    listed = ", ".join(f"{name} = {value!s:.60}" for name, value in sorted(found.items()))
    return (
        f"the configuration has options that this PEFT does not know and leaves out: {listed}. What is read is the "
        "LoRA without them, which may be another function than the one that was trained."
    )
