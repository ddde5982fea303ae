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
import dataclasses
import os
from pathlib import Path
from typing import Any

from aurac.cli.options import rank_list

_OF_PROTOCOL = (
    "init",
    "adapter_dtype",
    "dtype",
    "prompt_style",
    "max_length",
    "warmup_ratio",
    "batch_size",
    "gradient_accumulation",
)
"""Options that a protocol may set; None where none was given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; methods, their scaling rules and their own switches come from the adapters' tables."""
    from aurac_adapters import METHODS, NestedMethod
    from aurac_adapters.data.dataset import DATA
    from aurac_adapters.data.styles import PROMPT_STYLES
    from aurac_adapters.methods.scaling import SCALINGS
    from aurac_adapters.training.config import ADAPTER_DTYPES, INITS
    from aurac_adapters.training.protocols import PROTOCOLS

    trainable = [name for name in METHODS if METHODS[name].trainable]
    parser.add_argument("--method", required=True, choices=trainable, help="what is put between A and B")
    parser.add_argument("--model", required=True, help="base model: folder or hub name")
    parser.add_argument("--data", required=True, help=f"JSONL file, one of {', '.join(DATA)}, or NAME=PATH of its copy")
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), default="standard",
                        help="defaults of the options below; authors: as the MatryoshkaLoRA authors' code trains "
                        "(docs/training.md)")  # fmt: skip
    parser.add_argument("--prompt-style", choices=tuple(PROMPT_STYLES), help="how rows are written (default: standard)")
    parser.add_argument("--chat-template", action="store_true", help="write examples as the tokenizer's template does")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="adapter folder to write")
    parser.add_argument("--rank", type=int, default=16, metavar="R", help="maximal rank (default: 16)")
    parser.add_argument(
        "--train-ranks", type=rank_list, default=(), metavar="1,2,...", help="default: powers of two up to R, and R"
    )
    parser.add_argument("--scaling", choices=tuple(SCALINGS), help="rule s_r (default: sqrt for matryoshka, else one)")
    parser.add_argument("--gain", type=float, default=1.0, metavar="C", help="factor before the rule (default: 1)")
    for name in trainable:
        for field in own_fields(METHODS[name], NestedMethod):
            parser.add_argument(_switch(field), action="store_true", help=f"{name} only, see docs/methods.md")
    parser.add_argument("--target-modules", default="all-linear", metavar="a,b", help="default: all-linear")
    parser.add_argument("--init", choices=tuple(INITS), help="how A begins (default: peft)")
    parser.add_argument("--learning-rate", type=float, default=2e-4, metavar="X", help="peak (default: 2e-4)")
    parser.add_argument("--epochs", type=float, default=3.0, metavar="N", help="default: 3")
    parser.add_argument("--max-steps", type=int, metavar="N", help="optimizer steps, instead of epochs")
    parser.add_argument("--batch-size", type=int, metavar="N", help="examples a device and pass (default: 8)")
    parser.add_argument("--gradient-accumulation", type=int, metavar="N", help="passes a step (default: 4)")
    parser.add_argument("--max-length", type=int, metavar="N", help="tokens of an example (default: 1024)")
    parser.add_argument(
        "--warmup-ratio", type=float, metavar="X", help="share of the steps in which the rate rises (default: 0.05)"
    )
    parser.add_argument("--packing", action="store_true", help="examples of a pass in one row, without padding")
    parser.add_argument("--seed", type=int, default=42, help="default: 42")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"),
                        help="of the base model (default: bfloat16 on a GPU that has it, else float32)")  # fmt: skip
    parser.add_argument("--adapter-dtype", choices=ADAPTER_DTYPES, help="of adapter and AdamW (default: float32)")
    quantised = parser.add_mutually_exclusive_group()
    for bits in ("4bit", "8bit"):
        quantised.add_argument(f"--load-in-{bits}", dest="load_in", action="store_const", const=bits,
                               help=f"base model in {bits.removesuffix('bit')} bits (bitsandbytes)")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="compile the model with torch.compile")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    parser.add_argument("--checkpoint-steps", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--report-to", default="", metavar="a,b", help="trackers that transformers knows")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the base model")


def own_fields(method: Any, base: Any) -> list[Any]:
    """Return the fields that a method has beyond those of all methods; they are switches."""
    shared = {field.name for field in dataclasses.fields(base)}
    return [field for field in dataclasses.fields(method) if field.name not in shared]


def _switch(field: Any) -> str:
    return f"--{field.name.replace('_', '-')}"


def run(args: argparse.Namespace) -> int:
    """Train and print the adapter's folder."""
    from aurac.errors import AdapterError
    from aurac_adapters import METHODS, NestedMethod
    from aurac_adapters.training.protocols import PROTOCOLS
    from aurac_adapters.training.trainer import TrainingConfig, train

    method = METHODS[args.method]
    own = {field.name for field in own_fields(method, NestedMethod)}
    for name in METHODS:
        for field in own_fields(METHODS[name], NestedMethod):
            if getattr(args, field.name, False) and field.name not in own:
                raise AdapterError(f"{_switch(field)} is for method {name}, not for {args.method}. Leave it out.")
    protocol = PROTOCOLS[args.protocol]
    settings: dict[str, Any] = {"scaling": args.scaling} if args.scaling else {}
    switches = protocol.switches(args.method, {name: getattr(args, name) for name in own})
    config = TrainingConfig(
        method=method(
            max_rank=args.rank,
            train_ranks=args.train_ranks,
            gain=args.gain,
            seed=args.seed,
            **settings,
            **switches,
        ),
        model=args.model,
        data=args.data,
        out=args.out,
        target_modules="all-linear" if args.target_modules == "all-linear" else tuple(args.target_modules.split(",")),
        learning_rate=args.learning_rate,
        epochs=args.epochs,
        max_steps=args.max_steps,
        seed=args.seed,
        chat_template=args.chat_template,
        packing=args.packing,
        compile=args.compile,
        load_in=args.load_in,
        gradient_checkpointing=args.gradient_checkpointing,
        checkpoint_steps=args.checkpoint_steps,
        trust_remote_code=args.trust_remote_code,
        report_to=tuple(filter(None, args.report_to.split(","))),
        **protocol.options({name: getattr(args, name) for name in _OF_PROTOCOL if getattr(args, name) is not None}),
    )
    folder = train(config)
    if int(os.environ.get("RANK", "0")) == 0:  # of the processes that torchrun starts
        print(folder)
    return 0
