"""Turn a checkpoint of another program, or an adapter of another PEFT method, into a LoRA folder with a sidecar.

Examples:
  aurac convert step=01000.pt --base MODEL --method matryoshka --scaling sqrt --train-ranks 1,2,4,8 --out run
  aurac convert dylora.pt --base MODEL --method dylora --scaling rank --gain 16 --train-ranks 1,2,3,4 --out run
  aurac convert text-encoder.safetensors --base MODEL --method lora --scaling one --out run
  aurac convert my-loha --base MODEL --out my-loha-as-lora --rank 16

Layouts are told apart by keys and shapes. What the file does not say must be given: s_r is the gain times the rule, so
lora_alpha / r is --scaling rank --gain LORA_ALPHA, and a factor that is the same at every rank is --scaling one. The
train ranks end with the rank of the file, 8 and 4 in these examples. A pickle is read as tensors only; nothing in it is
run. Of the base model the configuration is read, not the weights.

A folder is an adapter of another method of PEFT (LoHa, LoKr, VeRA, MiSS, AdaLoRA and others): PEFT computes its update
on the base model, and the LoRA of it, whose every rank is the best of that rank, is checked against the function.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aurac.cli.method_flags import add_method_flags, method_values
from aurac.cli.options import positive, rank_list
from aurac.errors import AuracError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; layouts, methods and scaling rules come from the adapters' tables."""
    from aurac_adapters.export.checkpoints.layouts import LAYOUTS
    from aurac_adapters.methods import trainable_methods
    from aurac_adapters.methods.inference import INFERENCES
    from aurac_adapters.methods.scaling import SCALINGS

    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a file (.safetensors, or of torch.save), or a PEFT folder"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; new or empty")
    parser.add_argument(
        "--base",
        metavar="MODEL",
        help="base model: folder or hub name (needed for a file; default: what a folder names)",
    )
    parser.add_argument(
        "--method", choices=tuple(trainable_methods()), help="what it was trained with; needed for a file"
    )
    parser.add_argument(
        "--rank", type=positive, metavar="R", help="of the LoRA of a folder (default: the smallest that loses nothing)"
    )
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
    add_method_flags(parser, leave_out=("scaling", "gain", "train_ranks"))
    parser.add_argument("--inference", choices=INFERENCES, default="prefix", help="rule at sub-ranks (default: prefix)")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the base model")


def run(args: argparse.Namespace) -> int:
    """Write the folder and print it."""
    return _of_a_folder(args) if Path(args.checkpoint).is_dir() else _of_a_file(args)


def _of_a_folder(args: argparse.Namespace) -> int:
    from aurac_adapters import convert_method

    given = ("method", "layout", "scaling", "gain", "train_ranks")
    if wrong := next((name for name in given if getattr(args, name)), None):
        raise AuracError(
            f"--{wrong.replace('_', '-')} is for a checkpoint file, and {args.checkpoint} is a folder, which says it. "
            "Leave it out."
        )
    made = convert_method(
        args.checkpoint,
        args.out,
        base=args.base,
        rank=args.rank,
        trust_remote_code=args.trust_remote_code,
        progress=sys.stderr.isatty(),
    )
    lost = "nothing of the update is lost" if made.rank == made.full_rank else f"{made.lost:.1%} of the update is lost"
    print(f"rank {made.rank} of {made.full_rank}: {lost}", file=sys.stderr)
    print(made.path)
    return 0


def _of_a_file(args: argparse.Namespace) -> int:
    from aurac_adapters import convert_checkpoint
    from aurac_adapters.export.checkpoints.reading import read_tensors
    from aurac_adapters.export.convert import Given

    if args.base is None or args.method is None:
        read_tensors(Path(args.checkpoint))  # a file that is no checkpoint needs no base
    if missing := next((name for name in ("base", "method") if getattr(args, name) is None), None):
        raise AuracError(f"a checkpoint file does not say its {missing}. Give --{missing}.")
    if args.rank is not None:
        raise AuracError("--rank is for a PEFT folder; a file has its own rank. Leave it out, and slice the result.")
    given = Given(
        base=args.base,
        method=args.method,
        scaling=args.scaling,
        gain=args.gain,
        train_ranks=args.train_ranks,
        layout=args.layout,
        inference=args.inference,
        switches=method_values(args, args.method, strict=False),
    )
    print(convert_checkpoint(args.checkpoint, args.out, given, trust_remote_code=args.trust_remote_code))
    return 0
