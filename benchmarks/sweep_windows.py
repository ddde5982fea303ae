r"""Measure the engine against HFLM on models with sliding windows, above and below the length of the requests.

    python benchmarks/sweep_windows.py --shared ../shared --out results/engine/cpu-windows.json    # about 6 minutes

Random weights in the shapes of Mistral, Gemma 2 and Gemma 3 (58 million parameters), HellaSwag 0-shot (requests of 20
to 80 tokens) and GSM8K 8-shot (prompts of 800 tokens and more). Seconds and ratios are those of `sweep_speed.py`.
"""

from __future__ import annotations

import sys
import warnings
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep_cases import SHAPES, WINDOWED, build_adapter, prepare
from sweep_measure import Measured, Ranks, measure
from sweep_speed import hardware, write


@dataclass(frozen=True)
class Case:
    """A task, and how long windows are beside its requests."""

    task: str
    window: int


CASES = (
    Case("hellaswag-0", 4096),  # above all requests
    Case("hellaswag-0", 40),  # among them
    Case("hellaswag-0", 20),  # below all
    Case("gsm8k", 4096),
    Case("gsm8k", 256),
)


def run_case(shape: str, case: Case, args: Namespace, tokenizer: Any) -> Measured:
    """Build the model with this window, and measure."""
    from lm_eval.models.huggingface import HFLM

    from aurac.harness.engine.lm import AuracLM

    nested = build_adapter(shape, max_rank=max(args.ranks), device="cpu", dtype="float32", sliding_window=case.window)
    engine = AuracLM(pretrained=nested.model, tokenizer=tokenizer, batch_size="auto")
    hflm = HFLM(pretrained=nested.model, tokenizer=tokenizer, batch_size=1, softmax_dtype="float32")
    ranks = args.ranks[-1:] if case.task == "gsm8k" else args.ranks
    documents = max(1, args.documents // (12 if case.task == "gsm8k" else 1))
    asked = Namespace(**vars(args) | {"documents": documents, "ranks": ranks})
    return measure(case.task, (engine, hflm), asked, Ranks(nested))


def line(shape: str, case: Case, found: Measured) -> str:
    """One line of the table."""
    ours, theirs = found.work, found.hflm_counts[found.best]
    return (
        f"{shape:<8} {case.task:<12} window {case.window:>4}: {found.ratio:.2f}x HFLM in batches of {found.best}, "
        f"calls {ours['forward_calls']} and {theirs.calls}, tokens {ours['tokens_forwarded']} and {theirs.tokens}, "
        f"difference {found.largest_difference:.0e}, flips {found.flips}"
    )


def main(argv: list[str] | None = None) -> int:
    """Measure every shape in every case."""
    ask = ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--shared", type=Path, required=True, help="folder with data/make_offline_hub.py")
    ask.add_argument("--hub", type=Path, default=Path("/tmp/aurac-sweep-speed"), help="where data sets are laid out")
    ask.add_argument("--shapes", nargs="+", choices=list(WINDOWED), default=list(WINDOWED))
    ask.add_argument("--tasks", nargs="+", choices=sorted({case.task for case in CASES}), help="default: all")
    ask.add_argument("--documents", type=int, default=24, help="of HellaSwag; of GSM8K a twelfth")
    ask.add_argument("--ranks", nargs="+", type=int, default=[1, 16])
    ask.add_argument("--repeats", type=int, default=1)
    ask.add_argument("--hflm-batch-sizes", nargs="+", type=int, default=[1, 8, 32])
    ask.add_argument("--out", type=Path, help="JSON file to write")
    args = ask.parse_args(argv)
    args.shared, args.hub, args.model, args.device = args.shared.resolve(), args.hub.resolve(), None, "cpu"
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)
    tokenizer = prepare(args)
    settings = {
        "documents": args.documents,
        "ranks": args.ranks,
        "repeats": args.repeats,
        "hflm_batch_sizes": args.hflm_batch_sizes,
    }
    record: dict[str, Any] = {"settings": settings, "hardware": hardware("cpu"), "cases": []}
    for shape in args.shapes:
        for case in (case for case in CASES if args.tasks is None or case.task in args.tasks):
            found = run_case(shape, case, args, tokenizer)
            record["cases"].append({"shape": SHAPES[shape] | {"sliding_window": case.window}} | found.record())
            write(record, args.out)
            print(line(shape, case, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
