"""Train a nested adapter.

    aurac train --method matryoshka --model MODEL --data gsm8k --rank 256 --out runs/matryoshka

transformers' Trainer owns the loop. This file reads from top to bottom: configuration, model, data, adapter, Trainer.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model, prepare_model_for_kbit_training
from transformers import PreTrainedModel, Trainer, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from aurac.errors import AdapterError, TrainingError
from aurac_adapters.base.model import check_target_modules, context_length, load_base
from aurac_adapters.data.batches import collate, packing_collator
from aurac_adapters.data.chat import apply_chat_template, plain_examples
from aurac_adapters.data.dataset import TokenizedData, load_examples, tokenize
from aurac_adapters.data.examples import Chat, Example
from aurac_adapters.folder.folder import save_adapter
from aurac_adapters.folder.sidecar import START
from aurac_adapters.layer.nested import NestedAdapter, attach
from aurac_adapters.training import record as training_record
from aurac_adapters.training.arguments import base_dtype, refuse_data_parallel, training_arguments
from aurac_adapters.training.callbacks import LossBar, MethodCallback, require_finite
from aurac_adapters.training.checkpoints import last_checkpoint, remove_incomplete
from aurac_adapters.training.config import INITS, TrainingConfig
from aurac_adapters.training.moved import first_factors, say_if_few, share_moved
from aurac_adapters.training.saving import saving_to
from aurac_adapters.training.sharding import check_sharding, save_whole, whole_weights
from aurac_adapters.training.start import about_start, load_truncated, read_start, tokens_so_far
from aurac_adapters.training.trackers import check_trackers

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
        AdapterError: If the adapter to begin with cannot be read, is of another base model or has other layers.
        RankError: If it has a smaller rank than is asked for.
        TrainingError: If the loss or a weight is not finite, or the disk is full; the last checkpoints are kept.
    """
    dtype = base_dtype(config)
    arguments = training_arguments(config, bfloat16=dtype == torch.bfloat16)
    refuse_data_parallel(config, arguments)
    check_trackers(config.report_to)
    start = read_start(config)
    identity = {**config.identity(), **({} if start is None else {START: start.sha256})}
    previous = training_record.read(config.out, identity)
    arguments.distributed_state.wait_for_everyone()  # all have read before the first writes
    if _finished(previous):
        logger.warning("%s holds this training, finished; it is left as it is.", config.out)
        return config.out

    examples = load_examples(config.data, config.prompt_style)  # before the model: a mistake in the data shows at once
    base, tokenizer = load_base(
        config.model,
        dtype=dtype,
        load_in=config.load_in,
        trust_remote_code=config.trust_remote_code,
        attn_implementation=config.attn_implementation,
    )
    if start is None:
        check_target_modules(base, config.target_modules)
    data = _tokenized_data(config, examples, base, tokenizer)
    collator = packing_collator(base) if config.packing else collate

    set_seed(config.seed)
    adapter = _new_adapter(base, config) if start is None else load_truncated(_prepared(base, config), start, config)
    adapter.training = config.unusual() | ({} if start is None else {START: start.sha256})

    record = training_record.begin(identity, data, previous=previous)
    if start is not None:
        record[START] = about_start(start)
    with training_record.only_writer(config.out) if arguments.should_save else nullcontext():  # the first process
        if arguments.world_size == 1 and _finished(training_record.read(config.out, identity)):
            return config.out  # another process made it meanwhile
        return _train(config, adapter, data, collator, arguments, record)


def _finished(record: training_record.Record | None) -> bool:
    return record is not None and record["status"] == "finished"


def _train(
    config: TrainingConfig,
    adapter: NestedAdapter,
    data: TokenizedData,
    collator: Any,
    arguments: Any,
    record: training_record.Record,
) -> Path:
    if arguments.should_save:
        with saving_to(config.out):
            remove_incomplete(config.out)
            training_record.write(config.out, record)
    arguments.distributed_state.wait_for_everyone()
    trainer = FiniteTrainer(
        model=adapter.model,
        args=arguments,
        train_dataset=data.rows,
        data_collator=collator,
        callbacks=[MethodCallback(adapter)],
    )
    check_sharding(trainer, config)
    save_whole(trainer)
    for noisy in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(noisy)
    if config.progress:
        trainer.add_callback(LossBar)
    drawn = first_factors(adapter.model.state_dict()) if arguments.should_save else {}
    start = last_checkpoint(config.out)
    result = trainer.train(
        resume_from_checkpoint=str(config.out / f"checkpoints/checkpoint-{start}") if start else None
    )
    require_finite(adapter, result.global_step)
    gathered, learned = whole_weights(trainer), adapter.state.learned()
    if arguments.should_save:
        with saving_to(config.out):
            save_adapter(adapter, config.out, weights=gathered, learned=learned)
        moved = share_moved(drawn, adapter.model.state_dict() if gathered is None else gathered)
        say_if_few(moved)
        finished = training_record.finish(
            record,
            log_history=trainer.state.log_history,
            device=str(arguments.device),
            n_processes=arguments.world_size,
            steps=result.global_step,
            tokens=trainer.state.num_input_tokens_seen,
            **tokens_so_far(record, trainer.state.num_input_tokens_seen),
            resumed_from_step=start,
            share_of_a_moved=moved,
            train_seconds=result.metrics["train_runtime"],  # since the resumed step
        )
        with saving_to(config.out):
            training_record.write(config.out, finished)
    return config.out


def _prepared(base: PreTrainedModel, config: TrainingConfig) -> PreTrainedModel:
    if config.load_in:
        # Norms and embeddings in float32; checkpointing is the Trainer's business.
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    return base


def _new_adapter(base: PreTrainedModel, config: TrainingConfig) -> NestedAdapter:
    base = _prepared(base, config)
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.24 under the old name whether activations are checkpointed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        try:
            model = get_peft_model(
                base,
                config.method.lora_config(target_modules=config.target_modules),
                autocast_adapter_dtype=config.adapter_dtype == "float32",
            )
        except ValueError as error:  # norms and the like
            reason = " ".join(str(error).split())
            raise AdapterError(f"PEFT cannot put LoRA on {config.target_modules}: {reason:.300}") from error
    INITS[config.init](model)
    return attach(model, config.method)


def _tokenized_data(
    config: TrainingConfig, examples: list[Example | Chat], base: PreTrainedModel, tokenizer: Any
) -> TokenizedData:
    texts = apply_chat_template(examples, tokenizer) if config.chat_template else plain_examples(examples)
    data = tokenize(texts, tokenizer, max_length=min(config.max_length, context_length(base, tokenizer)))
    _warn_of_cuts(data)
    return data


def _warn_of_cuts(data: TokenizedData) -> None:
    if data.n_truncated or data.n_dropped:
        logger.warning(
            "of %d examples %d were cut at max_length, and %d left out because their prompt alone fills it",
            data.n_examples,
            data.n_truncated,
            data.n_dropped,
        )
