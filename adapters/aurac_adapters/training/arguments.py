"""What the Trainer is told: the settings that all trainings share, and those of the configuration."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch
from transformers import TrainingArguments

from aurac.errors import TrainingError
from aurac_adapters.training.config import TrainingConfig

_NAMES = {field.name for field in fields(TrainingArguments)}
CHECKPOINTING = "activation_checkpointing" if "activation_checkpointing" in _NAMES else "gradient_checkpointing"
"""What transformers calls computing activations twice: the first name from 5.23 on, the second before."""


def base_dtype(config: TrainingConfig) -> torch.dtype:
    """Return the type of the base model in memory on this machine."""
    if config.dtype == "auto":
        has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32


def training_arguments(config: TrainingConfig, *, bfloat16: bool) -> TrainingArguments:
    """Return the Trainer's arguments.

    Args:
        config: What to train.
        bfloat16: Whether the arithmetic of the base model is in bfloat16.
    """
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(config.out / "checkpoints"),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=config.warmup_ratio,  # below 1 it is a share
        weight_decay=0.0,
        max_grad_norm=1.0,
        # On a CPU with other load the fused one was measured many times slower.
        optim="adamw_torch_fused" if on_gpu else "adamw_torch",
        seed=config.seed,
        data_seed=_seed_of_data(config),
        use_cpu=not on_gpu,
        bf16=bfloat16,
        torch_compile=config.compile,
        ddp_find_unused_parameters=False,
        save_strategy="steps",
        save_steps=config.checkpoint_steps,
        save_total_limit=2,
        logging_steps=10,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would log the mean of earlier losses instead of NaN
        include_num_input_tokens_seen="all" if config.packing else "non_padding",
        remove_unused_columns=False,
        dataloader_num_workers=0,  # the rows are in memory, as token ids
        dataloader_pin_memory=on_gpu,
        report_to=list(config.report_to) or "none",
        disable_tqdm=not config.progress,
        **{CHECKPOINTING: config.gradient_checkpointing},
    )


def _seed_of_data(config: TrainingConfig) -> int | None:
    """Return a seed for the order of the data where a training goes on from another; None for that of the training.

    With one seed for both, every training that goes on would see the rows again that the first one began with.
    """
    if config.start is None:
        return None
    return int(np.random.SeedSequence((config.seed, config.method.max_rank)).generate_state(1)[0])


def refuse_data_parallel(config: TrainingConfig, arguments: TrainingArguments) -> None:
    """Raise `TrainingError` where one process would share out rows that have ranks of their own."""
    if config.method.draws_each_row and arguments.n_gpu > 1:
        raise TrainingError(
            f"{arguments.n_gpu} GPUs in one process share out the rows of a batch, but every row has its own rank. "
            "Start one process for each GPU with torchrun, or show one GPU (CUDA_VISIBLE_DEVICES=0)."
        )
