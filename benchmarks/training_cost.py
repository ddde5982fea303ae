"""What nested training costs: a step of each method against a step of plain PEFT LoRA of the same rank.

    OMP_NUM_THREADS=1 python benchmarks/training_cost.py --out results/training_cost/cpu-small.json
    python benchmarks/training_cost.py --shape llama-3.2-1b --out results/training_cost/1b.json      # a CUDA device

Every adapter sits on one base model (random weights: only shapes matter) in one process, and the adapters take turns in
an order that is drawn anew for each round; a ratio is the median over rounds of times within one round. A step is
forward, backward and AdamW. Time is wall time on a GPU, and process CPU time on a CPU, where one thread is used and
other load would otherwise be part of the measurement; wall time is recorded too.

"slices" is what MatryoshkaLoRA avoids: one forward and backward pass for every train rank in each step. "sweep" is what
a nested adapter replaces: a plain LoRA for every rank 1, 2, 4, ... R.

Peak memory is that of a process of its own for each method: `torch.cuda.max_memory_allocated` on a GPU, on a CPU the
largest resident set size, which contains Python and its libraries (recorded as "before the first step").
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig

import aurac
from aurac.ranks import default_ranks
from aurac_adapters import METHODS, NestedMethod, attach

METHODS_MEASURED = ("lora", "matryoshka", "dylora")
RANKS = (32, 256)


@dataclass(frozen=True)
class Shape:
    """A base model's shape, and the batch that it is trained on."""

    config: dict[str, int]
    batch: int
    length: int
    dtype: torch.dtype


_LLAMA = {"vocab_size": 128256, "num_attention_heads": 32, "num_key_value_heads": 8}
SHAPES = {
    "cpu-small": Shape(
        {
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "vocab_size": 1024,
        },
        batch=4,
        length=128,
        dtype=torch.float32,
    ),
    "tiny": Shape(
        {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "vocab_size": 64,
        },
        batch=1,
        length=16,
        dtype=torch.float32,
    ),
    # Never run by this project: no GPU was at hand.
    "llama-3.2-1b": Shape(
        {**_LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16},
        batch=4,
        length=512,
        dtype=torch.bfloat16,
    ),
    "llama-3.1-8b": Shape(
        {**_LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32},
        batch=4,
        length=512,
        dtype=torch.bfloat16,
    ),
}


@dataclass(frozen=True)
class Times:
    """One step: seconds on the wall and seconds of this process on the CPU."""

    wall: float
    cpu: float


class Bench:
    """One base model, and adapters on it that take turns."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        """Make the base model and a batch of random tokens."""
        torch.manual_seed(0)
        config = LlamaConfig(**shape.config, max_position_embeddings=2048, use_cache=False)
        with device:
            self.model: Any = AutoModelForCausalLM.from_config(config, dtype=shape.dtype)
            self.tokens = torch.randint(shape.config["vocab_size"], (shape.batch, shape.length))
        self.device, self.dtype = device, shape.dtype
        self.steps: dict[str, Callable[[int], None]] = {}
        self.names: dict[str, str] = {}

    def add_plain(self, rank: int) -> str:
        """Add a LoRA that PEFT alone makes."""
        name = f"peft-{rank}"
        self._add(name, LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
        optimizer = self._optimizer(name)

        def step(_: int) -> None:
            self._backward()
            optimizer.step()
            optimizer.zero_grad()

        self.steps[name] = step
        return name

    def add_nested(self, method: NestedMethod) -> str:
        """Add an adapter of ours."""
        name = f"{method.name}-{method.max_rank}"
        self._add(name, method.lora_config())
        adapter = attach(self.model, method, adapter_name=name)
        optimizer = self._optimizer(name)

        def step(number: int) -> None:
            adapter.set_step(number)
            self._backward()
            optimizer.step()
            optimizer.zero_grad()

        self.steps[name] = step
        return name

    def add_slices(self, rank: int) -> str:
        """Add an adapter that is trained with a pass for every sub-rank."""
        name = f"slices-{rank}"
        method = METHODS["matryoshka"](max_rank=rank)
        self._add(name, method.lora_config())
        adapter = attach(self.model, method, adapter_name=name)
        optimizer = self._optimizer(name)

        def step(_: int) -> None:
            self.model.eval()  # the gate of one prefix; there is no dropout
            for sub_rank in method.train_ranks:
                adapter.set_rank(sub_rank)
                self._backward()
            optimizer.step()
            optimizer.zero_grad()
            self.model.train()

        self.steps[name] = step
        return name

    def time(self, name: str, number: int) -> Times:
        """Time one step of an adapter."""
        self.model.set_adapter(name)
        self.model.train()
        self._wait()
        wall, cpu = time.perf_counter(), time.process_time()
        self.steps[name](number)
        self._wait()
        return Times(time.perf_counter() - wall, time.process_time() - cpu)

    def _add(self, name: str, config: LoraConfig) -> None:
        if isinstance(self.model, PeftModel):
            self.model.add_adapter(name, config)
        else:
            self.model = get_peft_model(self.model, config, adapter_name=name)

    def _optimizer(self, name: str) -> torch.optim.Optimizer:
        self.model.set_adapter(name)
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        return torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)

    def _backward(self) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            loss = self.model(input_ids=self.tokens, labels=self.tokens).loss
        loss.backward()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure_times(shape: Shape, device: torch.device, *, rounds: int, ranks: Sequence[int]) -> dict[str, Any]:
    """Return for every rank the ratios of the methods, of slices, and of the sweep."""
    bench = Bench(shape, device)
    sweep = [bench.add_plain(rank) for rank in default_ranks(max(ranks))]
    ours = [bench.add_nested(METHODS[name](max_rank=rank)) for rank in ranks for name in METHODS_MEASURED]
    slices = [bench.add_slices(rank) for rank in ranks]
    generator = torch.Generator().manual_seed(1)
    references = [f"peft-{rank}" for rank in ranks]
    seen: list[dict[str, Times]] = []
    for number in range(rounds + 1):  # the first round warms up
        # The expensive ones, whose ratios are far from 1, need fewer repeats.
        names = list(dict.fromkeys([*ours, *references, *(sweep if number % 3 == 0 else [])]))
        names += slices if number % 6 == 0 else []
        order = [names[i] for i in torch.randperm(len(names), generator=generator).tolist()]
        seen.append({name: bench.time(name, number) for name in order})
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    tokens = shape.batch * shape.length
    return {str(rank): _of_rank(seen[1:], rank, tokens, on_gpu=device.type == "cuda") for rank in ranks}


def _of_rank(seen: list[dict[str, Times]], rank: int, tokens: int, *, on_gpu: bool) -> dict[str, Any]:
    clock = "wall" if on_gpu else "cpu"
    rows: dict[str, Any] = {}
    for method in ("peft", *METHODS_MEASURED, "slices"):
        rounds = [times for times in seen if f"{method}-{rank}" in times]
        pairs = [(times[f"{method}-{rank}"], times[f"peft-{rank}"]) for times in rounds]
        seconds = statistics.median(getattr(mine, clock) for mine, _ in pairs)
        rows[method] = {
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "ratio_to_peft": _quartiles([getattr(a, clock) / getattr(b, clock) for a, b in pairs]),
            "ratio_to_peft_wall": _quartiles([a.wall / b.wall for a, b in pairs]),
            "repeats": len(pairs),
        }
    swept = [f"peft-{r}" for r in default_ranks(rank)]
    full = [times for times in seen if times.keys() >= set(swept)]
    sums = [sum(getattr(times[name], clock) for name in swept) for times in full]
    ratios = [getattr(times[f"matryoshka-{rank}"], clock) / total for times, total in zip(full, sums, strict=True)]
    return {
        "clock": clock,
        "methods": rows,
        "sweep": {
            "ranks": list(default_ranks(rank)),
            "matryoshka_to_sweep": _quartiles(ratios),
            "repeats": len(ratios),
        },
    }


def _quartiles(values: Sequence[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else list(values) * 3
    return {"median": median, "q1": low, "q3": high}


def measure_memory(shape_name: str, *, repeats: int, ranks: Sequence[int]) -> dict[str, Any]:
    """Return peak bytes of a process for each method and rank, and their ratios to plain PEFT."""
    found: dict[str, Any] = {}
    for rank in ranks:
        rows = {}
        for method in ("peft", *METHODS_MEASURED, "slices"):
            command = [sys.executable, __file__, "--shape", shape_name, "--memory-of", f"{method}-{rank}"]
            answers = []
            for _ in range(repeats):
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                answers.append(json.loads(done.stdout))
            rows[method] = {key: statistics.median(answer[key] for answer in answers) for key in answers[0]}
            print(f"memory of {method}, rank {rank}", file=sys.stderr, flush=True)
        for row in rows.values():
            row["ratio_to_peft"] = row["peak_bytes"] / rows["peft"]["peak_bytes"]
        found[str(rank)] = rows
    return found


def memory_of(shape: Shape, device: torch.device, name: str) -> dict[str, int]:
    """Run three steps of one adapter alone in this process, and return its peak."""
    bench = Bench(shape, device)
    method, _, rank = name.rpartition("-")
    add = {"peft": lambda: bench.add_plain(int(rank)), "slices": lambda: bench.add_slices(int(rank))}
    made = add.get(method, lambda: bench.add_nested(METHODS[method](max_rank=int(rank))))()
    before = _peak(device)
    for number in range(3):
        bench.time(made, number)
    return {"peak_bytes": _peak(device), "bytes_before_the_first_step": before}


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    # Not getrusage: on Linux its maximum is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024  # kB


def table(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = [
        "| rank | method | step, s | tokens/s | time / PEFT [quartiles] | peak memory / PEFT |",
        "|---|---|---|---|---|---|",
    ]
    for rank, found in result["times"].items():
        for method, row in found["methods"].items():
            ratio, memory = row["ratio_to_peft"], result["memory"].get(rank, {}).get(method)
            share = "–" if memory is None else f"{memory['ratio_to_peft']:.3f}"
            lines.append(
                f"| {rank} | {method} | {row['seconds']:.3f} | {row['tokens_per_second']:.0f} | "
                f"{ratio['median']:.3f} [{ratio['q1']:.3f}, {ratio['q3']:.3f}] | {share} |"
            )
    lines.append("")
    for rank, found in result["times"].items():
        ratio = found["sweep"]["matryoshka_to_sweep"]
        lines.append(
            f"Rank {rank}: one nested step is {ratio['median']:.3f} [{ratio['q1']:.3f}, {ratio['q3']:.3f}] of the sum "
            f"of plain LoRA's at the {len(found['sweep']['ranks'])} ranks {found['sweep']['ranks']}."
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="cpu-small")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--memory-repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    shape = SHAPES[args.shape]
    device = torch.device("cuda" if shape.dtype == torch.bfloat16 else "cpu")
    torch.set_num_threads(1)
    if args.memory_of:
        print(json.dumps(memory_of(shape, device, args.memory_of)))
        return
    load = os.getloadavg()[0]
    result = {
        "shape": {"name": args.shape, **shape.config, "batch": shape.batch, "length": shape.length},
        "dtype": str(shape.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {"aurac": aurac.__version__, "torch": torch.__version__, "peft": peft.__version__,
                     "transformers": transformers.__version__},
        "memory_is": "torch.cuda.max_memory_allocated" if device.type == "cuda" else "largest resident set size",
        "times": measure_times(shape, device, rounds=args.rounds, ranks=RANKS),
        "memory": measure_memory(args.shape, repeats=args.memory_repeats, ranks=RANKS) if args.memory_repeats else {},
        "load_average": {"before": load, "after": os.getloadavg()[0]},
    }  # fmt: skip
    print(table(result))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = args.out.with_suffix(".tmp")
        unfinished.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(unfinished, args.out)


if __name__ == "__main__":
    main()
