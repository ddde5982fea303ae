r"""Measure the sweep engine against lm-eval's own HFLM, rank by rank, in one process.

    python benchmarks/sweep_speed.py --shared ../shared                        # CPU, about 12 minutes on 2 cores
    python benchmarks/sweep_speed.py --shared ../shared --tasks arc --documents 4 --repeats 1 --ranks 1
    python benchmarks/sweep_speed.py --shared ../shared --shape llama-3.2-1b --device cuda --dtype bfloat16 \
        --ranks 1 2 4 8 16 32 64 128 256 --documents 200 --hflm-batch-size 16

Real questions and shots, a randomly initialised Llama with a LoRA of the largest rank, and a 32k BPE trained on the
questions' text. Both sides get the same requests, built once; what is timed is answering them (tokenisation
included, for the engine at the first rank only, as in a sweep). For each repeat and rank the engine runs, then
HFLM; the ratios are medians over these pairs. Seconds are process CPU time on the CPU, which other programs on the
machine disturb little, and wall-clock time on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})

DATASETS = ("allenai/ai2_arc", "Rowan/hellaswag", "cais/mmlu", "openai/gsm8k")
# What lm-eval is asked for. GSM8K's texts end at the length of an average reference answer: a random model never
# ends them.
ANSWER_TOKENS = 128
# Short name -> lm-eval's tasks, shots, and whether every document gets the same shots (else they are drawn for each).
TASKS: dict[str, tuple[tuple[str, ...], int, bool]] = {
    "arc": (("arc_challenge",), 25, False),
    "hellaswag": (("hellaswag",), 10, False),
    "mmlu": (("mmlu_abstract_algebra",), 5, True),
    "gsm8k": (("gsm8k",), 8, False),
    "gsm8k-fixed-shots": (("gsm8k",), 8, True),
}
SHAPES: dict[str, dict[str, int | bool]] = {
    "small": {
        "vocab_size": 32000,
        "hidden_size": 512,
        "intermediate_size": 1536,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
    "llama-3.2-1b": {
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
}
SHAPES["small-128k"] = SHAPES["small"] | {"vocab_size": 128256}


@dataclass
class Measured:
    """One task: seconds per rank and repeat, and how far the answers are apart."""

    task: str
    documents: int
    requests: int
    engine_seconds: list[float] = field(default_factory=list)
    hflm_seconds: list[float] = field(default_factory=list)
    engine_wall: list[float] = field(default_factory=list)
    hflm_wall: list[float] = field(default_factory=list)
    largest_difference: float = 0.0
    flips: int = 0
    work: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median over repeats and ranks of HFLM's seconds per second of the engine."""
        return statistics.median(h / e for h, e in zip(self.hflm_seconds, self.engine_seconds, strict=True))

    def record(self) -> dict[str, Any]:
        """Everything, and the medians."""
        whole = sum(self.hflm_seconds) / sum(self.engine_seconds)
        return asdict(self) | {"ratio": self.ratio, "ratio_of_sums": whole}


def train_tokenizer(shared: Path, folder: Path) -> Any:
    """A byte-level BPE of 32000 tokens, trained on the questions and on stories (about 20 s)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=32000,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(training_text(shared, folder), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")


def training_text(shared: Path, folder: Path) -> Iterator[str]:
    """Every string of the task files, and the stories."""
    import gzip

    import pyarrow.parquet as parquet

    with gzip.open(shared / "data" / "tinystories" / "train_head.txt.gz", "rt", encoding="utf-8") as stories:
        yield from stories
    for file in sorted(folder.rglob("*.parquet")):
        for row in parquet.read_table(file).to_pylist():
            yield json.dumps(row, ensure_ascii=False)


def build_model(shape: str, *, max_rank: int, device: str, dtype: str) -> Any:
    """A Llama with random weights and a LoRA on all linear layers whose B is not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**SHAPES[shape], bos_token_id=0, eos_token_id=1)
    base = LlamaForCausalLM(config).to(getattr(torch, dtype))
    lora = LoraConfig(r=max_rank, lora_alpha=max_rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, lora).eval()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    return model.to(device)


def rank_setter(model: Any) -> Callable[[int], None]:
    """A function that zeroes the columns of B from a rank on: a nested adapter at that rank, at the same cost."""
    import torch

    full = {name: weight.detach().clone() for name, weight in model.named_parameters() if "lora_B" in name}

    @torch.no_grad()
    def set_rank(rank: int) -> None:
        for name, weight in model.named_parameters():
            if name in full:
                weight.copy_(full[name])
                weight[:, rank:] = 0

    return set_rank


def build_requests(task: str, documents: int, folder: Path) -> list[tuple[Any, Any]]:
    """(task object, request) pairs of the first documents of each of the task's parts."""
    from lm_eval.api.samplers import get_sampler
    from lm_eval.tasks import TaskManager

    names, shots, fixed = TASKS[task]
    pairs: list[tuple[Any, Any]] = []
    with working_in(folder):
        for built in TaskManager().load(list(names))["tasks"].values():
            built.set_config("num_fewshot", shots)
            if fixed:
                built.sampler = get_sampler("first_n")(list(built.fewshot_docs()), rnd=None)
            if built.OUTPUT_TYPE == "generate_until":
                built.set_config("generation_kwargs", {"max_gen_toks": ANSWER_TOKENS}, update=True)
            built.set_fewshot_seed(1234)
            built.build_all_requests(limit=documents // len(names), rank=0, world_size=1)
            pairs += [(built, request) for request in built.instances]
    return pairs


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder: `load_dataset` finds the data there under its hub name."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def measure(
    task: str, lms: tuple[Any, Any], args: argparse.Namespace, set_rank: Callable[[int], None], folder: Path
) -> Measured:
    """Time both sides on the same requests at every rank, several times, and compare their answers."""
    # MMLU's prompts are short, and a header shared by few documents would say nothing about subjects of 100 and more.
    documents = args.documents * (10 if task == "mmlu" else 1)
    pairs = build_requests(task, documents, folder)
    requests = [request for _, request in pairs]
    kind = requests[0].request_type
    result = Measured(task, documents, len(requests))
    engine, hflm = lms
    hflm.batch_size_per_gpu = args.hflm_generation_batch_size if kind == "generate_until" else args.hflm_batch_size
    for repeat in range(args.repeats):
        engine.forget_plans()
        for rank in args.ranks:
            set_rank(rank)
            ours, seconds, wall = timed(lambda: getattr(engine, kind)(requests, disable_tqdm=True), args.device)
            result.engine_seconds.append(seconds)
            result.engine_wall.append(wall)
            theirs, seconds, wall = timed(lambda: getattr(hflm, kind)(requests, disable_tqdm=True), args.device)
            result.hflm_seconds.append(seconds)
            result.hflm_wall.append(wall)
            difference, flips = compare(pairs, ours, theirs)
            result.largest_difference = max(result.largest_difference, difference)
            result.flips += flips
            print(
                f"{task} repeat {repeat + 1} rank {rank}: engine {result.engine_seconds[-1]:.1f} s, "
                f"HFLM {seconds:.1f} s, difference {difference:.1e}, flips {flips}",
                file=sys.stderr,
                flush=True,
            )
            report = engine.reset_work().to_dict()
            result.work = result.work or report  # the counts are the same at every rank
    return result


def timed(answer: Callable[[], Any], device: str) -> tuple[Any, float, float]:
    """The answers, seconds (process CPU time, or wall-clock on a GPU), and wall-clock seconds."""
    import torch

    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
    cpu, wall = time.process_time(), time.perf_counter()
    found = answer()
    if device != "cpu":
        torch.cuda.synchronize()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return found, cpu if device == "cpu" else wall, wall


def compare(pairs: list[tuple[Any, Any]], ours: list[Any], theirs: list[Any]) -> tuple[float, int]:
    """Largest difference of a log-likelihood, and documents whose metrics (or text) differ."""
    if isinstance(ours[0], str):
        return 0.0, sum(a != b for a, b in zip(ours, theirs, strict=True))
    difference = max(abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True))
    return difference, sum(a != b for a, b in zip(metrics(pairs, ours), metrics(pairs, theirs), strict=True))


def metrics(pairs: list[tuple[Any, Any]], answers: list[Any]) -> list[Any]:
    """The task's own metrics of each document."""
    grouped: dict[Any, tuple[Any, Any, list[Any]]] = {}
    for (task, request), answer in zip(pairs, answers, strict=True):
        grouped.setdefault((id(task), request.doc_id), (task, request.doc, []))[2].append(answer)
    return [task.process_results(doc, results) for task, doc, results in grouped.values()]


def low_precision(
    engine_of: Callable[[Any], Any], hflm_of: Callable[[Any, int], Any], model: Any, folder: Path
) -> dict[str, Any]:
    """In bfloat16: how far the engine is from HFLM, beside how far HFLM is from itself at another batch size."""
    requests = [request for _, request in build_requests("arc", 4, folder)]
    asked = [
        lm.loglikelihood(requests, disable_tqdm=True) for lm in (engine_of(model), hflm_of(model, 1), hflm_of(model, 8))
    ]
    ours, single, batched = ([value for value, _ in answers] for answers in asked)
    return {
        "requests": len(requests),
        "engine_to_hflm_batch_1": max(abs(a - b) for a, b in zip(ours, single, strict=True)),
        "hflm_batch_8_to_batch_1": max(abs(a - b) for a, b in zip(batched, single, strict=True)),
    }


def peak_memory(args: argparse.Namespace, side: str) -> int:
    """Peak resident bytes of a process that scores 4 documents of ARC, batch size 4, with 128k vocabulary."""
    command = [sys.executable, __file__, "--shared", str(args.shared), "--hub", str(args.hub), "--memory-of", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def memory_of(side: str, lms: tuple[Any, Any], folder: Path) -> int:
    """Score and return the peak of this process in bytes (Linux counts it in KiB)."""
    requests = [request for _, request in build_requests("arc", 4, folder)]
    lms[side == "hflm"].loglikelihood(requests, disable_tqdm=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def hardware(device: str) -> dict[str, Any]:
    """What the numbers were measured on; no machine or user names."""
    import torch
    import transformers

    gpu = torch.cuda.get_device_name() if device != "cpu" else None
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return {
        "gpu": gpu,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        **versions,
    }


def table(results: list[Measured]) -> str:
    """The table that is printed, one line per task."""
    head = "task              docs  engine s    HFLM s   ratio  tokens/limit  padding  rows/asked  |d|max   flips"
    lines = [head]
    for r in results:
        w = r.work
        lines.append(
            f"{r.task:<17} {r.documents:>4} {statistics.median(r.engine_seconds):>9.1f}"
            f" {statistics.median(r.hflm_seconds):>9.1f} {r.ratio:>6.1f}x {w['tokens_over_limit']:>13.3f}"
            f" {w['padding_share']:>8.1%}"
            f" {w['rows_projected'] / w['rows_asked']:>11.2f} {r.largest_difference:>7.0e} {r.flips:>7}"
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
    ask.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    ask.add_argument("--documents", type=int, default=12, help="documents per task; MMLU takes ten times as many")
    ask.add_argument("--ranks", nargs="+", type=int, default=[1, 16])
    ask.add_argument("--repeats", type=int, default=3)
    ask.add_argument("--shape", choices=list(SHAPES), default="small")
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--dtype", default="float32")
    ask.add_argument("--hflm-batch-size", type=int, default=1, help="for log-likelihoods; 1 is the fastest on a CPU")
    ask.add_argument("--hflm-generation-batch-size", type=int, default=8)
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--only-speed", action="store_true", help="leave out the bfloat16 and the memory comparison")
    ask.add_argument("--out", type=Path, help="JSON file to write")
    ask.add_argument("--memory-of", choices=["engine", "hflm"], help=argparse.SUPPRESS)
    args = ask.parse_args(argv)
    args.hub = (args.hub or Path(tempfile.gettempdir()) / "aurac-sweep-speed").resolve()
    args.shared = args.shared.resolve()
    return args


def prepare(args: argparse.Namespace) -> Any:
    """Lay out the data sets and train the tokenizer, unless an earlier run did; return the tokenizer."""
    from transformers import PreTrainedTokenizerFast

    folder = args.hub / "tokenizer"
    if not folder.exists():
        script = args.shared / "data" / "make_offline_hub.py"
        subprocess.run(
            [sys.executable, str(script), str(args.hub), "--only", *DATASETS], check=True, stdout=subprocess.DEVNULL
        )
        train_tokenizer(args.shared, args.hub).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


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
    model = build_model(shape, max_rank=max(args.ranks), device=args.device, dtype=args.dtype)
    if args.memory_of:
        print(memory_of(args.memory_of, (engine_of(model, 4), hflm_of(model, 4)), args.hub))
        return 0
    lms = (engine_of(model), hflm_of(model, args.hflm_batch_size))
    set_rank = rank_setter(model)
    settings = {k: v for k, v in vars(args).items() if k not in {"shared", "hub", "out", "memory_of"}}
    record: dict[str, Any] = {"settings": settings, "shape": SHAPES[args.shape], "hardware": hardware(args.device)}
    results: list[Measured] = []
    for task in args.tasks:
        results.append(measure(task, lms, args, set_rank, args.hub))
        record["tasks"] = [result.record() for result in results]
        write(record, args.out)
    print(table(results))
    if not args.only_speed:
        record["bfloat16"] = low_precision(engine_of, hflm_of, model.to(torch.bfloat16), args.hub)
        record["peak_memory_bytes"] = {side: peak_memory(args, side) for side in ("engine", "hflm")}
        print(f"bfloat16: {record['bfloat16']}\npeak memory at 128k vocabulary: {record['peak_memory_bytes']}")
    write(record, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
