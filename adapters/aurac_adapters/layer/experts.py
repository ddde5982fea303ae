"""Adapters of parameters instead of layers, which is what PEFT makes of the experts of a mixture (MoE)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aurac.errors import AdapterError

if TYPE_CHECKING:
    from torch import nn

NO_SUB_RANK = (
    "lora_A of a parameter stacks r rows for each expert (r x experts), so a sub-rank is a prefix of every expert's "
    "rows, which is not cut here"
)
_WAY_OUT = (
    'Name linear layers in target_modules, such as q_proj, k_proj, v_proj and o_proj: of "all-linear" PEFT makes '
    "target_parameters where the experts are one tensor. The full rank of a folder can be scored by lm_eval "
    "(peft=FOLDER)."
)


def parameters_reason(names: Iterable[str]) -> str:
    """Return why an adapter with these `target_parameters` has no sub-ranks here, and what to do.

    Example:
        >>> parameters_reason(["gate_up_proj", "down_proj"]).split(":")[0]
        'uses target_parameters (down_proj, gate_up_proj)'
    """
    return f"uses target_parameters ({', '.join(sorted(map(str, names)))}): {NO_SUB_RANK}. {_WAY_OUT}"


def converted_by_peft(config: Mapping[str, Any], base: nn.Module, where: object) -> list[str]:
    """Return the parameters that PEFT adapts on this base model in place of single experts; mostly none.

    transformers 5 holds the experts of Mixtral, Qwen3-MoE and their kind in one tensor. PEFT then turns an adapter of
    single experts (`experts.0.w1`) into one of `target_parameters` when it loads it.

    Args:
        config: PEFT's configuration as it stands in the folder, its kinds checked.
        base: The base model; its weights are not used.
        where: The folder, for the message.

    Raises:
        AdapterError: If PEFT cannot convert it, such as one of two layers that are fused into one tensor.
    """
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # of before transformers 5, which converts nothing
        return []
    from peft import LoraConfig

    options = ("r", "lora_alpha", "target_modules", "exclude_modules")
    made = LoraConfig(**{name: config[name] for name in options if config.get(name)})
    try:
        convert_peft_config_for_transformers(made, model=base, conversions=None)
    except ValueError as exc:
        raise AdapterError(f"PEFT cannot load {where} onto this base model: {exc} Train both of them.") from exc
    return sorted(made.target_parameters or ())


def check_experts(config: Mapping[str, Any], base: nn.Module, where: object) -> None:
    """Raise `AdapterError` for an adapter of single experts that PEFT would turn into one of `target_parameters`."""
    if names := converted_by_peft(config, base, where):
        raise AdapterError(
            f"{where} adapts layers of which PEFT makes target_parameters ({', '.join(names)}) on this base model, "
            f"whose experts transformers 5 holds in one tensor; {NO_SUB_RANK}. aurac slice and aurac rotate take "
            "the folder, in which each expert is a layer; lm_eval scores the slices (peft=SLICE), and aurac import "
            "makes a record of them."
        )
