"""The base model of a training: loaded from safetensors, its layers matched against the target modules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from aurac.base_model import check_folder, check_no_adapter, read_model, read_tokenizer
from aurac.errors import AdapterError, ModelError, UnknownNameError


def load_base(
    name: str,
    *,
    dtype: torch.dtype,
    load_in: Literal["4bit", "8bit"] | None = None,
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
) -> tuple[PreTrainedModel, Any]:
    """Return a causal language model and its tokenizer.

    Args:
        name: A folder or a name on the hub.
        dtype: Of the weights in memory; of the arithmetic, where they are quantised.
        load_in: Quantise the linear layers with bitsandbytes.
        trust_remote_code: Whether code that comes with the model may run.
        attn_implementation: How attention is computed, a name of transformers; None leaves it to transformers.

    Raises:
        ModelError: If there is no such model, or it cannot be read; weights other than safetensors are not read. If
            bitsandbytes is asked for and not installed.
    """
    check_no_adapter(name)
    check_folder(name)
    tokenizer = read_tokenizer(name, _no_model, trust_remote_code=trust_remote_code)
    model = load_model(
        name,
        dtype=dtype,
        load_in=load_in,
        trust_remote_code=trust_remote_code,
        attn_implementation=attn_implementation,
    )
    return model, tokenizer


def load_model(
    name: str,
    *,
    dtype: torch.dtype,
    load_in: Literal["4bit", "8bit"] | None = None,
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
) -> PreTrainedModel:
    """Do what `load_base` does, without a tokenizer."""
    options: dict[str, Any] = {"quantization_config": _quantization(load_in, dtype)} if load_in else {}
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    check_no_adapter(name)
    check_folder(name)
    model: PreTrainedModel = read_model(name, _no_model, trust_remote_code=trust_remote_code, dtype=dtype, **options)
    model.config.use_cache = False  # keys and values are kept for generation only
    return model


def _no_model(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(
        f"cannot load the base model {name}: {reason:.300} "
        "Give a folder or a hub name of a causal language model with safetensors weights."
    )


def _quantization(load_in: Literal["4bit", "8bit"], dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"load_in={load_in!r} needs bitsandbytes, which is not installed. Install it (pip install "
            '"aurac[quantized]"), or leave load_in out.'
        )
    if load_in == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(  # as in QLoRA (arXiv 2305.14314)
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def context_length(model: PreTrainedModel, tokenizer: Any) -> int:
    """Return how many tokens the model can read at once; a tokenizer without a limit says 1e30."""
    limit: int = tokenizer.model_max_length
    return min(getattr(model.config, "max_position_embeddings", limit), limit)


def check_target_modules(model: PreTrainedModel, target_modules: str | Sequence[str]) -> None:
    """Raise `UnknownNameError` with the near names if a target matches no module; PEFT complains only if none does.

    Args:
        model: The base model.
        target_modules: "all-linear", a regular expression over full names, or names as PEFT takes them.

    Raises:
        UnknownNameError: For a name or an expression that matches nothing.
        AdapterError: For an expression that is none.
    """
    if target_modules == "all-linear":
        return
    names = [name for name, _ in model.named_modules() if name]
    for target in [target_modules] if isinstance(target_modules, str) else target_modules:
        pattern = target if isinstance(target_modules, str) else rf"(.*\.)?{re.escape(target)}"
        try:
            found = any(re.fullmatch(pattern, name) for name in names)
        except re.error as error:
            raise AdapterError(f"the target modules {target!r} are no regular expression: {error}.") from error
        if not found:
            linear = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
            raise UnknownNameError(
                "target module", target, linear, advice='"all-linear" takes all but the output head.'
            )
