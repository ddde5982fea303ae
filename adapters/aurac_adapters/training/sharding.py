"""FSDP2: the weights are shared out among the processes in training, and gathered where a folder is written."""

from __future__ import annotations

from typing import Any

from transformers import Trainer

from aurac.errors import TrainingError
from aurac_adapters.training.config import TrainingConfig


def check_sharding(trainer: Trainer, config: TrainingConfig) -> None:
    """Raise `TrainingError` for a way to share out weights that would learn or save something else than one process."""
    if trainer.is_deepspeed_enabled:
        raise TrainingError(
            "DeepSpeed was asked for, but its shared-out adapter could not be saved. Start with torchrun, where every "
            "process holds the base model, or with FSDP: accelerate launch --use_fsdp --fsdp_version 2."
        )
    if not trainer.is_fsdp_enabled:
        return
    version = trainer.accelerator.state.fsdp_plugin.fsdp_version
    if version != 2:
        raise TrainingError(
            f"FSDP version {version} was asked for; only version 2 was tried, and is supported. "
            "Start with accelerate launch --use_fsdp --fsdp_version 2."
        )
    if config.load_in:
        raise TrainingError(
            f"a base in {config.load_in} was asked for with FSDP, which was not tried together. Start with torchrun, "
            "where every process holds the base model, or train on the base in full."
        )
    if config.method.gradient_mask(0) is not None:
        raise TrainingError(
            "frozen DyLoRA was asked for with FSDP, which drops the mask on the gradients that it needs. Start with "
            "torchrun, where every process holds the base model, or train without frozen."
        )


def save_whole(trainer: Trainer) -> None:
    """Let the Trainer write checkpoints in one piece, not one file for each process (accelerate's default)."""
    if trainer.is_fsdp_enabled:
        plugin = trainer.accelerator.state.fsdp_plugin
        plugin.state_dict_config = plugin.optim_state_dict_config = None  # those of the other kind
        plugin.set_state_dict_type("FULL_STATE_DICT")


def whole_weights(trainer: Trainer) -> dict[str, Any] | None:
    """Return all weights on the first process, nothing on the others; None where they are not shared out.

    All processes have to call it, because each sends its share.
    """
    return trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
