"""Being the base model: the adapter stays where it is and has no effect, which is what rank 0 means."""

from __future__ import annotations

from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper

from aurac.errors import AdapterError
from aurac_adapters.layer.config import trained_whole


def check_can_be_base(config: Any, where: object) -> None:
    """Raise `AdapterError` if training changed weights that an adapter cannot give back.

    Args:
        config: PEFT's configuration as a dictionary.
        where: Folder or adapter, for the message.
    """
    if trained_whole(config) == "bias":
        raise AdapterError(
            f"{where} was trained with bias, which replaces the base model's own, so the base model cannot be measured "
            "beside it. Use --no-base."
        )


def switch(model: Any, *, to_base: bool) -> None:
    """Let the base model answer alone, or with its adapter again; no weight changes, nothing becomes trainable."""
    for module in model.modules():
        if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
            # PEFT's enable_adapters would make the weights of an adapter in use trainable.
            module._disable_adapters = to_base
