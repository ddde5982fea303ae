r"""Measure a sweep with the engine against a loop of lm-eval's own HFLM over the same ranks, in one process.

    python benchmarks/sweep_speed.py --shared ../shared                        # CPU, about 40 minutes on 2 cores
    python benchmarks/sweep_speed.py --shared ../shared --tasks arc --documents 4 --repeats 1 --ranks 1
    python benchmarks/sweep_speed.py --shared ../shared --model SMOLLM2 --tasks arc-easy-0 --documents 60 --no-memory
    python benchmarks/sweep_speed.py --shared ../shared --shape llama-3.2-1b --device cuda --dtype bfloat16 \
        --ranks 1 2 4 8 16 32 64 128 256 --documents 200 --hflm-batch-sizes 16 64

Real questions and shots, and a LoRA of the largest rank with random weights on the model of a folder (`--model`), or
on a randomly initialised Llama with a 32k BPE trained on the questions' text. The engine's sweep builds the requests
once, plans them once, sets each rank (merged in float32, by the gate otherwise) and answers; the loop is charged the
building at every rank, as `simple_evaluate` does it, sets the rank by the gate, and lets HFLM answer, at each of
several batch sizes. Neither loads the model. At each rank the engine runs, then HFLM at each size; "ratio" is the
median over these pairs of the time to answer, "whole" the median over repeats of loop by sweep, building and setting
ranks included, each for the batch size that is HFLM's best. Seconds are process CPU time on the CPU, which other
programs on the machine disturb little, and wall-clock time on a GPU. `sweep_windows.py` does the same for models with
sliding windows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sweep_cases import SHAPES, TASKS, build_adapter, build_requests, prepare
from sweep_measure import Measured, Ranks, measure, metrics


def low_precision(
    task: str, make: dict[str, Callable[[Any], Any]], model: Any, documents: int, folder: Path
) -> dict[str, Any]:
    """In bfloat16: how far the engine is from HFLM, HFLM from itself at other batch sizes, and each from float32.

    The reference has the weights that were rounded to bfloat16, and computes with them in float32.
    """
    import torch

    pairs = build_requests(task, documents, folder)

    def ask(lm: Any) -> list[tuple[float, bool]]:
        answers: list[tuple[float, bool]] = lm.loglikelihood([request for _, request in pairs], disable_tqdm=True)
        return answers

    half = model.to(torch.bfloat16)
    answers = {name: ask(side(half)) for name, side in make.items()}
    answers["float32"] = ask(make["hflm 1"](half.float()))
    judged = {name: metrics(pairs, found) for name, found in answers.items()}
    return {
        "task": task,
        "requests": len(pairs),
        "documents": len(judged["engine"]),
        "apart": {
            f"{a} to {b}": spread(answers[a], answers[b]) | {"flips": sum(map(_differ, judged[a], judged[b]))}
            for i, a in enumerate(answers)
            for b in list(answers)[i + 1 :]
        },
    }


def _differ(a: Any, b: Any) -> bool:
    return bool(a != b)


def spread(a: list[tuple[float, bool]], b: list[tuple[float, bool]]) -> dict[str, float]:
    """Median, mean, and largest absolute difference of log-likelihoods, in nats."""
    gaps = [abs(x - y) for (x, _), (y, _) in zip(a, b, strict=True)]
    return {"median": statistics.median(gaps), "mean": statistics.fmean(gaps), "largest": max(gaps)}


def peak_memory(args: argparse.Namespace, side: str) -> int:
    """Peak resident bytes of a process that scores 4 documents of ARC, batch size 4, with 128k vocabulary."""
    command = [sys.executable, __file__, "--shared", str(args.shared), "--hub", str(args.hub), "--memory-of", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def memory_of(lm: Any, folder: Path) -> int:
    """Score and return the peak of this process in bytes (VmHWM: Linux's ru_maxrss holds the parent's peak too)."""
    lm.loglikelihood([request for _, request in build_requests("arc", 4, folder)], disable_tqdm=True)
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def hardware(device: str) -> dict[str, Any]:
    """What the numbers were measured on; no machine or user names."""
    import torch
    import transformers

    return {
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def table(results: list[Measured]) -> str:
    """The table that is printed, one line a task."""
    lines = [
        "task               docs  engine s   HFLM s   ratio   whole  tokens/limit  padding  rows/asked  |d|max  flips"
    ]
    for r in results:
        w = r.work
        lines.append(
            f"{r.task:<18} {r.documents:>4} {statistics.median(r.engine_seconds):>9.1f}"
            f" {min(map(statistics.median, r.hflm_seconds.values())):>8.1f} {r.ratio:>6.2f}x {r.whole:>6.2f}x"
            f" {w['tokens_over_limit']:>13.3f} {w['padding_share']:>8.1%}"
            f" {w['rows_projected'] / w['rows_asked']:>11.2f} {r.largest_difference:>7.0e} {r.flips:>6}"
        )
    return "\n".join(lines)


def write(record: dict[str, Any], out: Path | None) -> None:
    """Write what is known so far, after each task."""
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1) + "\n")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--shared", type=Path, required=True, help="folder with data/make_offline_hub.py")
    ask.add_argument("--hub", type=Path, help="where the data sets are laid out (a temporary folder unless given)")
    ask.add_argument(
        "--tasks", nargs="*", choices=list(TASKS), default=list(TASKS), metavar="TASK", help=", ".join(TASKS)
    )
    ask.add_argument("--documents", type=int, default=12, help="documents per task; MMLU takes ten times as many")
    ask.add_argument("--ranks", nargs="+", type=int, default=[1, 16])
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--shape", choices=list(SHAPES), default="small")
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--dtype", default="float32")
    ask.add_argument("--model", type=Path, metavar="FOLDER", help="a real model instead of a random one of --shape")
    ask.add_argument("--hflm-batch-sizes", nargs="+", type=int, default=[1, 8, 32], help="the best one counts")
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument(
        "--low-precision",
        type=int,
        default=4,
        metavar="N",
        help="few-shot documents of the bfloat16 comparison, and 8 times as many 0-shot",
    )
    ask.add_argument("--no-memory", action="store_true", help="leave out the comparison of peak memory")
    ask.add_argument("--out", type=Path, help="JSON file to write")
    ask.add_argument("--memory-of", choices=["engine", "hflm"], help=argparse.SUPPRESS)
    args = ask.parse_args(argv)
    args.hub = (args.hub or Path(tempfile.gettempdir()) / "aurac-sweep-speed").resolve()
    args.shared = args.shared.resolve()
    return args


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, write the record."""
    args = parse(argv)
    warnings.filterwarnings("ignore")
    import torch
    from lm_eval.models.huggingface import HFLM

    from aurac.harness.engine.lm import AuracLM

    torch.set_num_threads(args.threads)
    tokenizer = prepare(args)

    def engine_of(model: Any, size: int | str = "auto") -> Any:
        return AuracLM(pretrained=model, tokenizer=tokenizer, batch_size=size)

    def hflm_of(model: Any, size: int) -> Any:
        return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size, softmax_dtype="float32")

    shape = "small-128k" if args.memory_of else args.shape
    nested = build_adapter(shape, max_rank=max(args.ranks), device=args.device, dtype=args.dtype, folder=args.model)
    model = nested.model
    if args.memory_of:
        print(memory_of((engine_of if args.memory_of == "engine" else hflm_of)(model, 4), args.hub))
        return 0
    ranks, lms = Ranks(nested), (engine_of(model), hflm_of(model, args.hflm_batch_sizes[0]))
    settings = {k: v for k, v in vars(args).items() if k not in {"shared", "hub", "out", "memory_of", "model"}}
    shape_or_model = {"model": args.model.name} if args.model else {"shape": SHAPES[args.shape]}
    record: dict[str, Any] = {"settings": settings, **shape_or_model, "hardware": hardware(args.device)}
    results: list[Measured] = []
    for task in args.tasks:
        results.append(measure(task, lms, args, ranks))
        record["tasks"] = [result.record() for result in results]
        write(record, args.out)
    print(table(results))
    if not args.no_memory:
        record["peak_memory_bytes"] = {side: peak_memory(args, side) for side in ("engine", "hflm")}
        print(f"peak memory at 128k vocabulary: {record['peak_memory_bytes']}")
    if args.low_precision:
        ranks.for_hflm(max(args.ranks))
        sides = {"engine": engine_of, **{f"hflm {size}": partial(hflm_of, size=size) for size in (1, 8, 32)}}
        record["bfloat16"] = [
            low_precision(task, sides, model, documents, args.hub)
            for task, documents in (("arc-easy-0", 8 * args.low_precision), ("arc", args.low_precision))
        ]
        print(f"bfloat16: {json.dumps(record['bfloat16'], indent=1)}")
    write(record, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
