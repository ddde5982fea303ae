"""What happens inside the Trainer's loop besides training: the method moves, checkpoints become adapter folders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ProgressCallback

from aurac.errors import TrainingError
from aurac_adapters.folder.folder import write_sidecar
from aurac_adapters.folder.sidecar import read_parameters
from aurac_adapters.layer.nested import NestedAdapter
from aurac_adapters.layer.parameters import set_values, whole
from aurac_adapters.training.saving import saving_to


class MethodCallback(TrainerCallback):  # type: ignore[misc]
    """Lets the method set its diagonal once for each optimizer step, and makes checkpoints adapter folders.

    The rank must not change between the forward and the backward pass (with gradient checkpointing that would be wrong
    without a word), so `on_step_begin` is the only place where it does. Gradient accumulation then sees one diagonal.
    Where every row or every pass draws its own, those of the next pass are set when the backward pass of the last one
    is over.
    """

    def __init__(self, adapter: NestedAdapter) -> None:
        """Keep the handle of the adapter in training."""
        self.adapter = adapter
        self.passes = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Give the method's own parameters their values in the checkpoint; Trainer loads the factors alone."""
        if self.adapter.state.parameters and state.global_step:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            set_values(self.adapter.state.parameters, read_parameters(checkpoint, self.adapter.method).parameters)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Set the diagonal of this step: a function of seed and step alone, so a resumed training draws the same."""
        self.passes = 0
        self._set_step(args, state)

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Set the diagonals that the next pass of the same step will see."""
        self.passes += 1
        if self.adapter.method.draws_each_row or self.adapter.method.draws_each_pass:
            self._set_step(args, state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save no checkpoint after the last step (the adapter is saved then), nor one that is not finite; log at both.

        A logged loss is a mean since the last log, which a checkpoint does not carry: hence a log at each checkpoint.
        """
        is_last = state.global_step >= state.max_steps
        control.should_log |= is_last or control.should_save
        control.should_save &= not is_last
        if control.should_save:
            require_finite(self.adapter, state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Put the sidecar into the checkpoint, last of all: a checkpoint with a sidecar is complete."""
        learned = self.adapter.state.learned()  # on all processes
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            with saving_to(folder):
                write_sidecar(self.adapter, folder, learned=learned)

    def _set_step(self, args: TrainingArguments, state: TrainerState) -> None:
        if self.adapter.method.draws_each_pass:
            self.adapter.set_step(state.global_step * args.gradient_accumulation_steps + self.passes)
            return
        if not self.adapter.method.draws_each_row:
            self.adapter.set_step(state.global_step)
            return
        # A pass takes one batch for each process, in this order, from the rows that one process would take at once.
        n_rows = args.per_device_train_batch_size
        begin = (self.passes * args.world_size + args.process_index) * n_rows
        self.adapter.set_step(state.global_step, rows=range(begin, begin + n_rows))


class LossBar(ProgressCallback):  # type: ignore[misc]
    """Trainer's progress bar with loss and speed beside it; the original prints a dictionary a line to standard output.

    The bar itself says how much time is left.
    """

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the bar, and start to count tokens: those before an interruption took no time of this call."""
        super().on_train_begin(args, state, control)
        self.began, self.tokens = time.perf_counter(), state.num_input_tokens_seen

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Show the mean loss since the last log with the step it is of, and tokens per second since the start.

        The bar keeps both until the next log: without the step, ten steps would seem to have the first one's loss.
        """
        if self.training_bar is not None and logs and "loss" in logs:
            speed = (state.num_input_tokens_seen - self.tokens) / (time.perf_counter() - self.began)
            self.training_bar.set_postfix(
                {f"loss@{state.global_step}": f"{logs['loss']:.3f}", "tokens/s": f"{speed:,.0f}"}, refresh=False
            )


def require_finite(adapter: NestedAdapter, step: int) -> None:
    """Raise `TrainingError` if a trained weight is NaN or infinite after `step` optimizer steps."""
    for name, weight in adapter.model.named_parameters():
        if weight.requires_grad and not torch.isfinite(whole(weight)).all():
            raise TrainingError(
                f"after step {step} the weight {name} is not finite. Earlier checkpoints are kept; "
                "a lower learning rate, in another folder, may help."
            )
