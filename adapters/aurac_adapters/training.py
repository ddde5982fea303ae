"""Train a nested adapter.

    aurac train --method matryoshka --model MODEL --data gsm8k --rank 256 --out runs/matryoshka

transformers' Trainer owns the loop. This file reads from top to bottom: configuration, model, data, adapter, Trainer.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from aurac.errors import AdapterError, TrainingError
from aurac_adapters import training_record
from aurac_adapters.base_model import check_target_modules, context_length, load_base
from aurac_adapters.batches import collate, packing_collator
from aurac_adapters.chat import apply_chat_template, plain_examples
from aurac_adapters.data import TokenizedData, load_examples, tokenize
from aurac_adapters.folder import save_adapter
from aurac_adapters.nested import attach
from aurac_adapters.saving import saving_to
from aurac_adapters.sidecar import SIDECAR
from aurac_adapters.trackers import check_trackers
from aurac_adapters.training_callbacks import LossBar, MethodCallback, require_finite
from aurac_adapters.training_config import TrainingConfig

__all__ = ["FiniteTrainer", "TrainingConfig", "train"]

logger = logging.getLogger(__name__)


class FiniteTrainer(Trainer):  # type: ignore[misc]
    """A Trainer that stops at a loss that is no number, before the optimizer can spread it, and at a full disk."""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of one forward and backward pass."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}. Earlier checkpoints are kept in "
                f"{self.args.output_dir}; a lower learning rate, in another folder, may help."
            )
        return loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with saving_to(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"):
            super()._save_checkpoint(*args, **kwargs)


def train(config: TrainingConfig) -> Path:
    """Train an adapter and return its folder; go on from the last checkpoint where an equal training was interrupted.

    Args:
        config: What to train. A finished training with the same configuration is left as it is.

    Returns:
        `config.out`: a PEFT folder with the sidecar, and `training.json` with configuration, data, versions and losses.

    Raises:
        RecordError: If the folder holds something else, or another training.
        ModelError: If the base model cannot be loaded.
        DataError: If the data cannot be read or leave nothing to learn.
        UnknownNameError: If a target module or the data set has no such name.
        TrainingError: If the loss or a weight is not finite, or the disk is full; the last checkpoints are kept.
    """
    bfloat16 = config.dtype == "bfloat16" or (config.dtype == "auto" and _gpu_has_bfloat16())
    arguments = _arguments(config, bfloat16=bfloat16)
    _check_devices(config, arguments)
    check_trackers(config.report_to)
    previous = training_record.read(config.out, config.identity())
    arguments.distributed_state.wait_for_everyone()  # all have read before the first writes
    if previous is not None and previous["status"] == "finished":
        logger.warning("%s holds this training, finished; it is left as it is.", config.out)
        return config.out

    base, tokenizer = load_base(
        config.model,
        dtype=torch.bfloat16 if bfloat16 else torch.float32,
        load_in=config.load_in,
        trust_remote_code=config.trust_remote_code,
    )
    check_target_modules(base, config.target_modules)
    data = _tokenized_data(config, base, tokenizer)
    collator = packing_collator(base) if config.packing else collate

    set_seed(config.seed)
    adapter = attach(_add_adapter(base, config), config.method)

    record = training_record.begin(config.identity(), data, previous=previous)
    if arguments.should_save:  # the first of the processes
        with saving_to(config.out):
            _remove_incomplete(config.out)
            training_record.write(config.out, record)
    arguments.distributed_state.wait_for_everyone()
    trainer = FiniteTrainer(
        model=adapter.model,
        args=arguments,
        train_dataset=data.rows,
        data_collator=collator,
        callbacks=[MethodCallback(adapter)],
    )
    refuse_sharding(trainer)
    for noisy in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(noisy)
    if config.progress:
        trainer.add_callback(LossBar)
    start = _last_checkpoint(config.out)
    result = trainer.train(
        resume_from_checkpoint=str(config.out / f"checkpoints/checkpoint-{start}") if start else None
    )
    require_finite(adapter, result.global_step)
    if arguments.should_save:
        with saving_to(config.out):
            save_adapter(adapter, config.out)
        finished = training_record.finish(
            record,
            log_history=trainer.state.log_history,
            device=str(arguments.device),
            n_processes=arguments.world_size,
            steps=result.global_step,
            tokens=trainer.state.num_input_tokens_seen,
            resumed_from_step=start,
            train_seconds=result.metrics["train_runtime"],  # since the resumed step
        )
        with saving_to(config.out):
            training_record.write(config.out, finished)
    return config.out


def _add_adapter(base: PreTrainedModel, config: TrainingConfig) -> PeftModel:
    if config.load_in:
        # Norms and embeddings in float32; checkpointing is the Trainer's business.
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.24 under the old name whether activations are checkpointed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        try:
            return get_peft_model(base, config.method.lora_config(target_modules=config.target_modules))
        except ValueError as error:  # norms and the like
            reason = " ".join(str(error).split())
            raise AdapterError(f"PEFT cannot put LoRA on {config.target_modules}: {reason:.300}") from error


def _arguments(config: TrainingConfig, *, bfloat16: bool) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(config.out / "checkpoints"),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.05,
        weight_decay=0.0,
        max_grad_norm=1.0,
        # On a CPU with other load the fused one was measured many times slower.
        optim="adamw_torch_fused" if on_gpu else "adamw_torch",
        seed=config.seed,
        use_cpu=not on_gpu,
        bf16=bfloat16,
        activation_checkpointing=config.gradient_checkpointing,
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
    )


def _tokenized_data(config: TrainingConfig, base: PreTrainedModel, tokenizer: Any) -> TokenizedData:
    examples = load_examples(config.data)
    texts = apply_chat_template(examples, tokenizer) if config.chat_template else plain_examples(examples)
    data = tokenize(texts, tokenizer, max_length=min(config.max_length, context_length(base, tokenizer)))
    _warn_of_cuts(data)
    return data


def _gpu_has_bfloat16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _warn_of_cuts(data: TokenizedData) -> None:
    if data.n_truncated or data.n_dropped:
        logger.warning(
            "of %d examples %d were cut at max_length, and %d left out because their prompt alone fills it",
            data.n_examples,
            data.n_truncated,
            data.n_dropped,
        )


def _remove_incomplete(out: Path) -> None:
    """Remove what was being saved when the training was killed; a checkpoint gets its sidecar last."""
    for folder in (*out.glob("checkpoints/checkpoint-*"), *out.glob(".unfinished-*")):
        if not (folder / SIDECAR).exists() or folder.parent == out:
            shutil.rmtree(folder)


def _last_checkpoint(out: Path) -> int | None:
    """Return the step of the last complete checkpoint."""
    folders = out.glob(f"checkpoints/checkpoint-*/{SIDECAR}")
    return max((int(path.parent.name.removeprefix("checkpoint-")) for path in folders), default=None)


def _check_devices(config: TrainingConfig, arguments: TrainingArguments) -> None:
    if config.method.draws_each_row and arguments.n_gpu > 1:
        raise TrainingError(
            f"{arguments.n_gpu} GPUs in one process share out the rows of a batch, but every row has its own rank. "
            "Start one process for each GPU with torchrun, or show one GPU (CUDA_VISIBLE_DEVICES=0)."
        )


def refuse_sharding(trainer: Trainer) -> None:
    """Raise `TrainingError` where weights are shared out: the adapter is saved from the weights of one process."""
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise TrainingError(
            "FSDP or DeepSpeed was asked for, but an adapter whose weights are shared out could not be saved. Start "
            "with torchrun, where every process holds the base model."
        )
