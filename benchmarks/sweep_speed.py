r"""Measure a sweep with the engine against a loop of lm-eval's own HFLM over the same ranks, in one process.

    python benchmarks/sweep_speed.py --shared ../shared                        # CPU, about 40 minutes on 2 cores
    python benchmarks/sweep_speed.py --shared ../shared --tasks arc --documents 4 --repeats 1 --ranks 1
    python benchmarks/sweep_speed.py --shared ../shared --model SMOLLM2 --tasks arc-easy-0 --documents 60 --no-memory
    python benchmarks/sweep_speed.py --shared ../shared --shape llama-3.2-1b --device cuda --dtype bfloat16 \
        --ranks 1 2 4 8 16 32 64 128 256 --documents 200 --hflm-batch-sizes 16 64

Real questions and shots, and a LoRA of the largest rank with random weights on the model of a folder (`--model`), or
on a randomly initialised Llama with a 32k BPE trained on the questions' text. The engine's sweep builds the requests
once, plans them once, sets each rank (merged in float32, by the gate otherwise) and answers; the loop builds the
requests for every rank, as `simple_evaluate` does, sets the rank by the gate, and lets HFLM answer, at each of
several batch sizes. Neither loads the model. At each rank the engine runs, then HFLM at each size; "ratio" is the
median over these pairs of the time to answer, "whole" the median over repeats of loop by sweep, building and setting
ranks included, each for the batch size that is HFLM's best. Seconds are process CPU time on the CPU, which other
programs on the machine disturb little, and wall-clock time on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sweep_cases import SHAPES, TASKS, build_adapter, build_requests, prepare


@dataclass
class Measured:
    """One task: seconds by repeat and rank, and how far the answers are apart."""

    task: str
    documents: int
    requests: int = 0
    engine_seconds: list[float] = field(default_factory=list)
    hflm_seconds: dict[int, list[float]] = field(default_factory=dict)
    sweep_seconds: list[float] = field(default_factory=list)
    loop_seconds: dict[int, list[float]] = field(default_factory=dict)
    largest_difference: float = 0.0
    flips: int = 0
    work: dict[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[int, float]:
        """Batch size -> median over repeats and ranks of HFLM's seconds per second of the engine, answering only."""
        return {size: median_ratio(seconds, self.engine_seconds) for size, seconds in self.hflm_seconds.items()}

    @property
    def ratio(self) -> float:
        """The ratio at HFLM's best batch size."""
        return min(self.ratios.values())

    @property
    def whole(self) -> float:
        """Median over repeats of the loop's seconds per second of the sweep, at HFLM's best batch size."""
        return min(median_ratio(seconds, self.sweep_seconds) for seconds in self.loop_seconds.values())

    def record(self) -> dict[str, Any]:
        """Everything, and the medians."""
        return asdict(self) | {"ratios": self.ratios, "ratio": self.ratio, "whole": self.whole}


def median_ratio(slower: list[float], faster: list[float]) -> float:
    """Median of the quotients of pairs that were measured one after the other."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


class Ranks:
    """Sets the rank of one model for both sides: merged for the engine where that is possible, by the gate for HFLM."""

    def __init__(self, nested: Any) -> None:
        from aurac_adapters.layer.merging import MergedAdapter, obstacle

        self.nested = nested
        self.merged = MergedAdapter(nested) if obstacle(nested) is None else None

    def for_engine(self, rank: int) -> None:
        """Set the rank as a sweep does; part of what is timed."""
        (self.merged or self.nested).set_rank(rank)

    def for_hflm(self, rank: int) -> None:
        """Set the rank beside the base's own weights."""
        if self.merged:
            self.merged.restore()
        self.nested.set_rank(rank)


def measure(task: str, lms: tuple[Any, Any], args: argparse.Namespace, ranks: Ranks) -> Measured:
    """Time both sides at every rank, several times, and compare their answers."""
    # MMLU's prompts are short, and a header shared by few documents would say nothing about subjects of 100 and more.
    result = Measured(task, args.documents * (10 if task == "mmlu" else 1))
    engine, hflm = lms
    for repeat in range(args.repeats):
        engine.forget_plans()
        pairs, sweep = timed(partial(build_requests, task, result.documents, args.hub), args.device)
        loop = dict.fromkeys(args.hflm_batch_sizes, 0.0)
        result.requests = len(pairs)
        for rank in args.ranks:
            _, setting = timed(partial(ranks.for_engine, rank), args.device)
            ours, answering = timed(partial(ask, engine, pairs), args.device)
            sweep += setting + answering
            result.engine_seconds.append(answering)
            result.work = result.work or engine.work.to_dict()  # the counts are the same at every rank
            engine.reset_work()
            again, building = timed(partial(build_requests, task, result.documents, args.hub), args.device)
            ranks.for_hflm(rank)
            for size in args.hflm_batch_sizes:
                hflm.batch_size_per_gpu = size
                theirs, waiting = timed(partial(ask, hflm, again), args.device)
                loop[size] += building + waiting
                result.hflm_seconds.setdefault(size, []).append(waiting)
                difference, flips = compare(pairs, ours, theirs)
                result.largest_difference = max(result.largest_difference, difference)
                # Texts of several prompts at a time go on until every row has stopped; one at a time are compared.
                result.flips += flips if size == 1 or not isinstance(ours[0], str) else 0
                print(
                    f"{task} repeat {repeat + 1} rank {rank}: engine {answering:.1f} s, HFLM {waiting:.1f} s in "
                    f"batches of {size}, difference {difference:.1e}, flips {flips}",
                    file=sys.stderr,
                    flush=True,
                )
        result.sweep_seconds.append(sweep)
        for size, seconds in loop.items():
            result.loop_seconds.setdefault(size, []).append(seconds)
    return result


def ask(lm: Any, pairs: list[tuple[Any, Any]]) -> list[Any]:
    """The answers to all requests."""
    requests = [request for _, request in pairs]
    answers: list[Any] = getattr(lm, requests[0].request_type)(requests, disable_tqdm=True)
    return answers


def timed(answer: Callable[[], Any], device: str) -> tuple[Any, float]:
    """What was returned, and seconds: process CPU time, or wall-clock time on a GPU."""
    import torch

    def now() -> float:
        if device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    gc.collect()
    start = now()
    found = answer()
    return found, now() - start


def compare(pairs: list[tuple[Any, Any]], ours: list[Any], theirs: list[Any]) -> tuple[float, int]:
    """Largest difference of a log-likelihood, and documents whose metrics (or text) differ."""
    if isinstance(ours[0], str):
        return 0.0, sum(a != b for a, b in zip(ours, theirs, strict=True))
    difference = max(abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True))
    return difference, sum(
        decided(a) != decided(b) for a, b in zip(metrics(pairs, ours), metrics(pairs, theirs), strict=True)
    )


def decided(values: dict[str, Any]) -> dict[str, Any]:
    """What a document's metrics say of right and wrong; LAMBADA's perplexity is the log-likelihood itself."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or value in (0.0, 1.0)}


def metrics(pairs: list[tuple[Any, Any]], answers: list[Any]) -> list[Any]:
    """The task's own metrics of each document."""
    grouped: dict[Any, tuple[Any, Any, list[Any]]] = {}
    for (task, request), answer in zip(pairs, answers, strict=True):
        grouped.setdefault((id(task), request.doc_id), (task, request.doc, []))[2].append(answer)
    return [task.process_results(doc, results) for task, doc, results in grouped.values()]


def low_precision(make: dict[str, Callable[[Any], Any]], model: Any, documents: int, folder: Path) -> dict[str, Any]:
    """In bfloat16: how far the engine is from HFLM, HFLM from itself at another batch size, and each from float32.

    The reference has the weights that were rounded to bfloat16, and computes with them in float32.
    """
    import torch

    requests = [request for _, request in build_requests("arc", documents, folder)]

    def ask(lm: Any) -> list[float]:
        return [value for value, _ in lm.loglikelihood(requests, disable_tqdm=True)]

    half = model.to(torch.bfloat16)
    answers = {name: ask(side(half)) for name, side in make.items()}
    answers["float32"] = ask(make["hflm 1"](half.float()))
    pairs = [("engine", "hflm 1"), ("engine", "hflm 8"), ("hflm 8", "hflm 1"), *((name, "float32") for name in make)]
    return {"requests": len(requests), "differences": {f"{a} to {b}": spread(answers[a], answers[b]) for a, b in pairs}}


def spread(a: list[float], b: list[float]) -> dict[str, float]:
    """Median, mean, and largest absolute difference, in nats."""
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
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
    ask.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    ask.add_argument("--documents", type=int, default=12, help="documents per task; MMLU takes ten times as many")
    ask.add_argument("--ranks", nargs="+", type=int, default=[1, 16])
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--shape", choices=list(SHAPES), default="small")
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--dtype", default="float32")
    ask.add_argument("--model", type=Path, metavar="FOLDER", help="a real model instead of a random one of --shape")
    ask.add_argument("--hflm-batch-sizes", nargs="+", type=int, default=[1, 8, 32], help="the best one counts")
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--low-precision", type=int, default=8, metavar="N", help="documents of the bfloat16 comparison")
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
        sides = {"engine": engine_of, "hflm 1": lambda it: hflm_of(it, 1), "hflm 8": lambda it: hflm_of(it, 8)}
        record["bfloat16"] = low_precision(sides, model, args.low_precision, args.hub)
        print(f"bfloat16: {record['bfloat16']}")
    write(record, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
