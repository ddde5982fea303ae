"""Rotate an adapter into SVD-LoRA: the same update at full rank, every prefix the best of its rank.

Examples:
  aurac rotate runs/lora --out runs/svd-lora
  aurac rotate runs/matryoshka --inference trained --out runs/matryoshka-rotated
  aurac rotate runs/lora --allocate energy --out runs/svd-by-layer
  aurac rotate runs/lora --allocate energy --calibrate text.txt --base MODEL --out runs/svd-calibrated
  aurac score runs/svd-lora --tasks arc,hellaswag

It takes any PEFT LoRA folder and costs no training, so it is the baseline that a nested training has to beat. What is
rotated is the update that the inference rule serves at full rank. The result is a PEFT folder with a sidecar, in which
every layer has the full rank. Nothing is overwritten.

How a budget of parameters is to be shared out over the layers is written into the folder, and `aurac score --budgets`
and `aurac slice --budget` follow it. With a calibration text, which the adapter reads on its base model, the prefixes
come nearest to what the layers put out on that text, instead of to their weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.cli.options import add_inference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from aurac_adapters.methods.allocation import ALLOCATIONS

    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; new or empty")
    add_inference(parser)
    parser.add_argument(
        "--allocate",
        choices=tuple(ALLOCATIONS),
        default="uniform",
        help="how a budget of parameters is shared out over the layers; uniform: the same rank in each; energy: one "
        "threshold for all, on the energy that a parameter carries; threshold: each the same share of its own energy, "
        "as PEFT's convert_to_lora; ratio: each down to the same part of its largest singular value (default: uniform)",
    )
    parser.add_argument("--calibrate", type=Path, metavar="FILE", help="plain text like what the adapter is to answer")
    parser.add_argument(
        "--base",
        metavar="MODEL",
        help="with --calibrate: base model, folder or hub name (default: what the adapter names)",
    )
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="with --calibrate: run code that comes with the base model"
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and print it."""
    from aurac_adapters.folder.sidecar import check_folder

    check_folder(Path(args.adapter))  # before PyTorch is imported
    from aurac_adapters import read_adapter, svd_rotate
    from aurac_adapters.folder.writing import check_new
    from aurac_adapters.methods.inference import served

    check_new(args.out)
    own = "" if args.gain is None else read_adapter(args.adapter).inference  # a gain alone is one of the adapter's rule
    made = svd_rotate(
        args.adapter,
        args.out,
        inference=served(args.inference, args.gain, own),
        allocate=args.allocate,
        calibrate=args.calibrate,
        base=args.base,
        trust_remote_code=args.trust_remote_code,
    )
    print(made)
    return 0
