"""Turn a checkpoint of another program into a PEFT folder with a sidecar.

Examples:
  aurac convert step=01000.pt --base MODEL --method matryoshka --scaling sqrt --train-ranks 1,2,4,8 --out run
  aurac convert dylora.pt --base MODEL --method dylora --scaling rank --gain 16 --train-ranks 1,2,3,4 --out run
  aurac convert text-encoder.safetensors --base MODEL --method lora --scaling one --out run

Layouts are told apart by keys and shapes. What the file does not say must be given: s_r is the gain times the rule, so
lora_alpha / r is --scaling rank --gain LORA_ALPHA, and a factor that is the same at every rank is --scaling one. The
train ranks end with the rank of the file, 8 and 4 in these examples. A pickle is read as tensors only; nothing in it is
run. Of the base model the configuration is read, not the weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.cli.options import rank_list
from aurac.cli.train import own_fields


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; layouts, methods and scaling rules come from the adapters' tables."""
    from aurac_adapters import METHODS, NestedMethod
    from aurac_adapters.export.checkpoints.layouts import LAYOUTS
    from aurac_adapters.methods.inference import INFERENCES
    from aurac_adapters.methods.scaling import SCALINGS

    trainable = [name for name in METHODS if METHODS[name].trainable]
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a file: .safetensors, or written by torch.save")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; new or empty")
    parser.add_argument("--base", required=True, metavar="MODEL", help="base model: folder or hub name")
    parser.add_argument("--method", required=True, choices=trainable, help="what it was trained with")
    parser.add_argument("--layout", choices=tuple(LAYOUTS), help="default: what keys and shapes say")
    parser.add_argument("--scaling", choices=tuple(SCALINGS), help="rule s_r that it was trained with")
    parser.add_argument("--gain", type=float, metavar="C", help="factor before the rule, where the layout has none")
    parser.add_argument(
        "--train-ranks",
        type=rank_list,
        default=(),
        metavar="1,2,...",
        help="where the method has any; the last is the file's",
    )
    for name in trainable:
        for field in own_fields(METHODS[name], NestedMethod):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", action="store_true", help=f"{name} only, see docs/methods.md"
            )
    parser.add_argument("--inference", choices=INFERENCES, default="prefix", help="rule at sub-ranks (default: prefix)")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the base model")


def run(args: argparse.Namespace) -> int:
    """Write the folder and print it."""
    from aurac_adapters import METHODS, NestedMethod, convert_checkpoint
    from aurac_adapters.export.convert import Given

    fields = [field for name in METHODS for field in own_fields(METHODS[name], NestedMethod)]
    given = Given(
        base=args.base,
        method=args.method,
        scaling=args.scaling,
        gain=args.gain,
        train_ranks=args.train_ranks,
        layout=args.layout,
        inference=args.inference,
        switches={field.name: True for field in fields if getattr(args, field.name, False)},
    )
    print(convert_checkpoint(args.checkpoint, args.out, given, trust_remote_code=args.trust_remote_code))
    return 0
