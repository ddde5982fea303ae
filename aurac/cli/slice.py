"""Write sub-ranks of an adapter as plain PEFT folders, or merged into the base model.

Examples:
  aurac slice runs/matryoshka --rank 16 --out rank-16
  aurac slice runs/matryoshka --rank 4,8,16 --pad-to 16 --out slices
  aurac slice runs/matryoshka --rank 16 --merge --base MODEL --out merged-16
  aurac slice runs/svd-by-layer --budget 0.25 --out quarter
  aurac slice runs/svd-by-layer --budget 0.25 --pad-to max --out quarter-padded

A slice has the logits that aurac score measured at that rank, in any program that loads PEFT folders. One rank is
written to DIR itself, several to DIR/rank-4, DIR/rank-8 ... Nothing is overwritten.

A budget is a share of the adapter's parameters, or a number of them. In such a slice layers have ranks of their own,
which PEFT reads (rank_pattern); for servers that ignore that, --pad-to max fills all up with zeros to the largest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aurac.cli.options import add_inference, number_list, padding, rank_list


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--rank", type=rank_list, metavar="R[,...]", help="sub-rank, or several")
    size.add_argument("--budget", type=number_list, metavar="B[,...]", help="share of the parameters, or several")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; new or empty")
    add_inference(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--pad-to",
        type=padding,
        metavar="N",
        help="fill up with zeros to rank N, for servers that allow few ranks; with --budget also max, the largest rank "
        "of a layer",
    )
    form.add_argument("--merge", action="store_true", help="write a whole model, with the slice merged into the base")
    parser.add_argument(
        "--base",
        metavar="MODEL",
        help="base model: folder or hub name (default: what the adapter names); without --merge it is not read, only "
        "written into configuration and card",
    )
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="with --merge: run code that comes with the base model"
    )


def run(args: argparse.Namespace) -> int:
    """Write the folders and print them."""
    from aurac_adapters.folder.sidecar import check_folder

    check_folder(Path(args.adapter))  # before PyTorch is imported
    if args.budget is not None:
        return _slice_budgets(args)
    from aurac.errors import AuracError
    from aurac_adapters import export_merged, export_slice, read_adapter
    from aurac_adapters.folder.writing import check_new
    from aurac_adapters.layer.config import trained_whole
    from aurac_adapters.methods.inference import served
    from aurac_adapters.methods.method import check_rank

    if args.pad_to == "max":
        raise AuracError("--pad-to max goes with --budget, where layers have ranks of their own. Give a rank.")
    if twice := [rank for rank in args.rank if args.rank.count(rank) > 1]:
        raise AuracError(f"--rank {twice[0]} was given twice. Give each rank once.")
    folders = {rank: args.out if len(args.rank) == 1 else args.out / f"rank-{rank}" for rank in args.rank}
    found = read_adapter(args.adapter)
    for rank, folder in folders.items():  # all of them before the first is written
        check_rank(rank, found.method.max_rank)
        check_new(folder)
    if not args.merge and (option := trained_whole(found.config)):
        print(
            f"note: with {option} more than the factors was trained. PEFT keeps it whole in a slice, servers refuse "
            "it; --merge writes a model that has it.",
            file=sys.stderr,
        )
    shared = {"inference": served(args.inference, args.gain, found.inference), "base": args.base}
    for rank, folder in folders.items():
        if args.merge:
            export_merged(args.adapter, rank, folder, trust_remote_code=args.trust_remote_code, **shared)
        else:
            export_slice(args.adapter, rank, folder, pad_to=args.pad_to, **shared)
        print(folder)
    return 0


def _slice_budgets(args: argparse.Namespace) -> int:
    """Write a folder for each budget and print them."""
    from aurac.errors import AuracError
    from aurac_adapters import export_budget, read_adapter
    from aurac_adapters.folder.budgets import plan_budgets
    from aurac_adapters.folder.writing import check_new
    from aurac_adapters.methods.inference import served

    if args.merge:
        raise AuracError("--merge goes with --rank. Slice the budget first, then merge the slice at its full rank.")
    if twice := [budget for budget in args.budget if args.budget.count(budget) > 1]:
        raise AuracError(f"--budget {twice[0]:g} was given twice. Give each budget once.")
    found = read_adapter(args.adapter)
    plan_budgets(found, args.budget)  # all of them before the first is written
    several = len(args.budget) > 1
    folders = {budget: args.out / f"budget-{budget:g}" if several else args.out for budget in args.budget}
    for folder in folders.values():
        check_new(folder)
    inference = served(args.inference, args.gain, found.inference)
    for budget, folder in folders.items():
        print(export_budget(args.adapter, budget, folder, inference=inference, pad_to=args.pad_to, base=args.base))
    return 0
