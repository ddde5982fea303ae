"""Rotate an adapter into SVD-LoRA: the same update at full rank, every prefix the best of its rank.

Examples:
  aurac rotate runs/lora --out runs/svd-lora
  aurac rotate runs/matryoshka --inference trained --out runs/matryoshka-rotated
  aurac score runs/svd-lora --tasks arc,hellaswag

It takes any PEFT LoRA folder and costs no training, so it is the baseline that a nested training has to beat. What is
rotated is the update that the inference rule serves at full rank. The result is a PEFT folder with a sidecar, in which
every layer has the full rank. Nothing is overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.cli.options import add_inference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; new or empty")
    add_inference(parser)


def run(args: argparse.Namespace) -> int:
    """Write the folder and print it."""
    from aurac_adapters import read_adapter, svd_rotate
    from aurac_adapters.folder.writing import check_new
    from aurac_adapters.methods.inference import served

    check_new(args.out)
    own = "" if args.gain is None else read_adapter(args.adapter).inference  # a gain alone is one of the adapter's rule
    print(svd_rotate(args.adapter, args.out, inference=served(args.inference, args.gain, own)))
    return 0
