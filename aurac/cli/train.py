"""Train a nested LoRA adapter that holds every rank.

Examples:
  aurac train --method matryoshka --model MODEL --data gsm8k --rank 256 --out runs/matryoshka
  aurac train --method dylora --model MODEL --data train.jsonl --rank 32 --train-ranks 4,8,16,32 --out runs/dylora
  aurac train --method lora --model MODEL --data arc --max-steps 100 --learning-rate 2e-4 --out runs/lora
  aurac train --from runs/lora --rank 4 --steps 20 --data arc --out runs/lora-4

DATA is the name of a set, or a JSONL file whose rows hold prompt and completion, or instruction, input and output, or
messages (with --chat-template). The loss is taken on what follows the prompt, in chats on the assistant's turns.
--from truncates a trained adapter to the rank and trains on (LoRA-Squeeze). The same command goes on where it was
interrupted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aurac.cli.flags import add_flag, add_flags, given
from aurac.cli.method_flags import add_method_flags, method_values
from aurac.cli.options import positive
from aurac.errors import AuracError, OptionError
from aurac.fields import options_of
from aurac.workflows.training import training_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the options of the training and of the methods are the fields of their dataclasses."""
    from aurac_adapters.methods import trainable_methods
    from aurac_adapters.training.config import TrainingConfig
    from aurac_adapters.training.protocols import ProtocolChoice

    methods = tuple(trainable_methods())
    parser.add_argument("--method", choices=methods, help="what is put between A and B (with --from: lora)")
    model = options_of(TrainingConfig)["model"]
    said = f"{model.help} (with --from: what ADAPTER names)"
    add_flag(parser, replace(model, meaning=said), required=False)
    add_flags(parser, TrainingConfig, leave_out=["model"])
    add_flags(parser, ProtocolChoice)
    group = parser.add_argument_group("the method", "An option that some methods have says which.")
    group.add_argument("--rank", type=positive, default=16, metavar="R", help="maximal rank (default: 16)")
    group.add_argument(
        "--squeeze",
        metavar="RANK@STEP,...",
        type=_schedule,
        help="plain LoRA: truncate to these ranks after so many steps and train on (--rank 16 --steps 150 --squeeze "
        "8@110,4@130); OUT then holds an adapter for each rank",
    )
    add_method_flags(group)


def run(args: argparse.Namespace) -> int:
    """Train and print the adapter's folder."""
    from aurac_adapters.training.beforehand import check_beforehand
    from aurac_adapters.training.config import TrainingConfig
    from aurac_adapters.training.protocols import ProtocolChoice

    training = {**given(args, TrainingConfig), **given(args, ProtocolChoice)}
    method = args.method or _method_of(training)
    training["model"] = training.get("model") or _base_of(training)
    fields = method_values(args, method)
    config = training_config(method, args.rank, training=training, fields=fields)
    if args.squeeze:
        from aurac_adapters.training.squeezing import train_squeezed

        folder = train_squeezed(config, args.squeeze)
    else:
        check_beforehand(config)
        from aurac_adapters.training.trainer import train

        folder = train(config)
    if int(os.environ.get("RANK", "0")) == 0:  # of the processes that torchrun starts
        print(folder)
    return 0


def _schedule(text: str) -> Any:
    from aurac_adapters.training.squeezing import read_schedule

    try:
        return read_schedule(text)
    except AuracError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _method_of(training: Mapping[str, Any]) -> str:
    if "start" not in training:
        raise OptionError("a training from the base model needs --method. Give one, such as --method lora.")
    return "lora"


def _base_of(training: Mapping[str, Any]) -> str:
    """Return the base model of the adapter that the training begins with."""
    from aurac_adapters.folder.sidecar import read_config

    if "start" not in training:
        raise OptionError("a training needs a base model. Give it with --model, a folder or a hub name.")
    if named := read_config(training["start"]).get("base_model_name_or_path"):  # PEFT writes "" for one without a name
        return str(named)
    raise OptionError(f"{training['start']} does not name its base model. Give it with --model.")
