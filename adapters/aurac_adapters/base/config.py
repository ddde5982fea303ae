"""What a base model is, without its weights: its configuration, and its layers by name and width."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from aurac.base_model import check_folder, check_no_adapter, read_config
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
    check_folder(name)
    return read_config(name, _no_model, trust_remote_code=trust_remote_code)


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


def _no_model(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(
        f"cannot read what the base model {name} is: {reason:.300} Give a folder or a hub name of a causal language "
        "model with --base."
    )
