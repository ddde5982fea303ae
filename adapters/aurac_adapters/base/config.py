"""What a base model is, without its weights: its configuration, and its layers by name and width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from aurac.errors import ModelError


def load_config(name: str, *, trust_remote_code: bool = False) -> Any:
    """Return the configuration of a base model.

    Args:
        name: A folder or a name on the hub.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        ModelError: If there is no such model, or its configuration cannot be read.
    """
    check_no_adapter(name)
    if (name.count("/") > 1 or name.startswith(("/", "."))) and not Path(name).is_dir():
        raise ModelError(f"no such base model folder: {name}. Give a folder, or a hub name like organisation/model.")
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise _no_model(name, error) from error


def load_skeleton(name: str, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """Return a causal language model whose tensors have shapes and no values.

    Raises:
        ModelError: If there is no such model, or it is no causal language model.
    """
    config = load_config(name, trust_remote_code=trust_remote_code)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    except ValueError as error:
        raise _no_model(name, error) from error


def check_no_adapter(name: str) -> None:
    """Raise `ModelError` for a folder that holds an adapter: transformers would load that too, or another base.

    Args:
        name: A folder or a name on the hub, where nothing is looked at.
    """
    if (Path(name) / "adapter_config.json").is_file():
        both = (Path(name) / "config.json").is_file()
        raise ModelError(
            f"{name} holds {'a base model and ' if both else ''}an adapter (adapter_config.json), which transformers "
            f"would {'load on top of it' if both else 'take for a model'}. "
            f"{'Move the adapter to a folder of its own' if both else 'Give the base model of the adapter'}, and name "
            "the base with --base."
        )


def _no_model(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(
        f"cannot read what the base model {name} is: {reason:.300} Give a folder or a hub name of a causal language "
        "model with --base."
    )
