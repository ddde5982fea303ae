"""Train a nested LoRA adapter that holds every rank.

Examples:
  aurac train --method matryoshka --model MODEL --data gsm8k --rank 256 --out runs/matryoshka
  aurac train --method dylora --model MODEL --data train.jsonl --rank 32 --train-ranks 4,8,16,32 --out runs/dylora
  aurac train --method lora --model MODEL --data arc --max-steps 100 --learning-rate 2e-4 --out runs/lora

DATA is the name of a set, or a JSONL file whose rows hold prompt and completion, or instruction, input and output, or
messages (with --chat-template). The loss is taken on what follows the prompt, in chats on the assistant's turns.
The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import os

from aurac.cli.flags import add_flags, given
from aurac.cli.method_flags import add_method_flags, method_values
from aurac.cli.options import positive
from aurac.workflows.training import training_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the options of the training and of the methods are the fields of their dataclasses."""
    from aurac_adapters.methods import trainable_methods
    from aurac_adapters.training.config import TrainingConfig
    from aurac_adapters.training.protocols import ProtocolChoice

    methods = tuple(trainable_methods())
    parser.add_argument("--method", required=True, choices=methods, help="what is put between A and B")
    add_flags(parser, TrainingConfig)
    add_flags(parser, ProtocolChoice)
    group = parser.add_argument_group("the method", "An option that some methods have says which.")
    group.add_argument("--rank", type=positive, default=16, metavar="R", help="maximal rank (default: 16)")
    add_method_flags(group)


def run(args: argparse.Namespace) -> int:
    """Train and print the adapter's folder."""
    from aurac_adapters.training.protocols import ProtocolChoice
    from aurac_adapters.training.trainer import TrainingConfig, train

    training = {**given(args, TrainingConfig), **given(args, ProtocolChoice)}
    fields = method_values(args, args.method)
    folder = train(training_config(args.method, args.rank, training=training, fields=fields))
    if int(os.environ.get("RANK", "0")) == 0:  # of the processes that torchrun starts
        print(folder)
    return 0
