"""Score an adapter at every sub-rank with lm-eval: curve, AURAC ± error, record, plot.

Examples:
  aurac score my-adapter --tasks arc,hellaswag
  aurac score my-adapter --tasks arc_challenge@0:acc,gsm8k --ranks 4,16,64 --limit 100
  aurac score my-adapter --tasks my_task --include-path my_tasks/ --out runs/my-adapter
  aurac score my-adapter --tasks gsm8k --apply-chat-template --system-instruction "Answer briefly."

ADAPTER_DIR is any PEFT LoRA folder, or a folder of LoRAs that were trained for one rank each (rank-1, rank-2, ...).
TASKS are lm-eval's names of tasks, groups and tags, or the short names of the protocol (arc, hellaswag, mmlu,
winogrande, gsm8k); TASK@SHOTS:METRIC overrides shots and metric. The same command goes on where it was interrupted;
more tasks or ranks extend the record.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.cli.options import add_inference, add_integration, batch_size, rank_list, served
from aurac.errors import ModelError, RefusedError
from aurac.report.formats import FORMATS
from aurac.results import Run

if TYPE_CHECKING:
    from aurac.harness.chat import Chat
    from aurac_adapters.folder.retrained import RankedFolder
    from aurac_adapters.layer.nested import NestedAdapter

RECORD = "aurac-run"
"""Default folder of the record, inside the adapter folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument("--tasks", required=True, help="comma-separated, such as arc,hellaswag or arc_challenge@0:acc")
    parser.add_argument(
        "--base", metavar="MODEL", help="base model: folder or hub name (default: what the adapter names)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"record folder (default: ADAPTER_DIR/{RECORD})")
    parser.add_argument("--ranks", type=rank_list, metavar="1,2,...", help="default: powers of two up to R, and R")
    add_inference(parser)
    parser.add_argument("--include-path", metavar="DIR", help="folder of your own lm-eval YAML tasks")
    parser.add_argument(
        "--protocol",
        choices=("standard", "authors"),
        default="standard",
        help="what the short names stand for; authors: the paper's metrics (default: standard)",
    )
    parser.add_argument("--limit", type=float, metavar="N", help="first N documents of each task, or a fraction")
    parser.add_argument(
        "--batch-size", type=batch_size, metavar="N", help='documents at a time, or "auto" (default: auto; hflm: 8)'
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
                        help="of the base model (default: auto, what its config says)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1234, help="of the draw of few-shot examples (default: 1234)")
    parser.add_argument("--apply-chat-template", nargs="?", const=True, default=False, metavar="NAME",
                        help="wrap prompts in the tokenizer's chat template; after ADAPTER_DIR")  # fmt: skip
    parser.add_argument("--system-instruction", metavar="TEXT", help="comes before every prompt")
    parser.add_argument("--fewshot-as-multiturn", action=argparse.BooleanOptionalAction, default=True,
                        help="with a chat template: examples are turns of the conversation (default: yes)")  # fmt: skip
    parser.add_argument("--no-merge", action="store_true",
                        help="do not merge each rank into float32 base weights, which is faster")  # fmt: skip
    parser.add_argument("--engine", choices=engines(), default=engines()[0], help=f"default: {engines()[0]}")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the base model")
    parser.add_argument("--confirm-unsafe", action="store_true", help="build tasks that run code which the model wrote")
    add_integration(parser)
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def engines() -> tuple[str, ...]:
    """Return the names of the engines, the default first."""
    from aurac.harness import ENGINES

    return tuple(ENGINES)


def run(args: argparse.Namespace) -> int:
    """Score, print, plot; 1 if a cell failed."""
    from aurac_adapters import read_ranked

    join_processes(args.engine)
    adapter = read_ranked(args.adapter)
    out = args.out or Path(args.adapter) / RECORD
    record = measure(adapter, args, out)
    if record is None:  # another process writes and prints
        return 0
    print(report(record, args), end="")
    for failure in record.failures:
        print(f"failed: {failure['task']} at rank {failure['rank']}: {failure.get('error')}", file=sys.stderr)
    for name, problem in record.problems.items():
        print(f"no curve for {name}: {problem}", file=sys.stderr)
    return 1 if record.failures or record.problems else 0


def join_processes(engine: str) -> None:
    """Join the processes that `accelerate launch` or `torchrun` started; they share the documents of every cell."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if engine == "hflm":
        raise RefusedError(
            "engine hflm would build other prompts in several processes. Start one, or use engine aurac."
        )
    from aurac.harness.engine.processes import start_processes

    start_processes()


def measure(adapter: RankedFolder, args: argparse.Namespace, out: Path) -> Run | None:
    """Measure what the record in `out` lacks; None in all processes but the first."""
    from aurac.harness import build_suite, parse_tasks, score_adapter
    from aurac.harness.identity import base_identity
    from aurac.harness.model import resolve_dtype
    from aurac.harness.scoring import run_identity
    from aurac.harness.sweep import check_ranks
    from aurac.results.writing import check_identity
    from aurac_adapters.folder.retrained import check_trained

    requests = parse_tasks(args.tasks, protocol=args.protocol)
    base = args.base or adapter.base_model
    if base is None:
        raise ModelError(f"{adapter.path} does not name its base model. Give it with --base.")
    ranks = args.ranks or adapter.own_ranks
    for rank in check_ranks(ranks, adapter.method.max_rank) if ranks else ():
        if adapter.own_ranks:
            check_trained(rank, adapter.own_ranks)
    dtype = resolve_dtype(base, args.dtype, trust_remote_code=args.trust_remote_code)
    base_is = base_identity(base)
    suite = build_suite(
        requests,
        include_path=args.include_path,
        limit=args.limit,
        fewshot_seed=args.seed,
        confirm_unsafe=args.confirm_unsafe,
        chat=chat(base, args),
    )
    identity = run_identity(
        suite,
        adapter=adapter_identity(adapter, served(args.inference, args.gain, adapter.inference)),
        base=base_is,
        dtype=dtype,
        engine=args.engine,
    )
    check_identity(out, identity)
    if os.environ.get("RANK", "0") == "0":
        for request in suite.requests:
            print(request, file=sys.stderr)
    measured: Run | None = score_adapter(
        lambda: open_model(adapter, base, dtype, args),
        suite,
        out=out,
        identity=identity,
        ranks=ranks,
    )
    return measured


def chat(base: str, args: argparse.Namespace) -> Chat:
    """Return how prompts are wrapped; the tokenizer is loaded only for a template."""
    from aurac.harness.chat import Chat
    from aurac.harness.model import load_tokenizer

    template = args.apply_chat_template
    tokenizer = load_tokenizer(base, trust_remote_code=args.trust_remote_code) if template else None
    return Chat(template, args.system_instruction, args.fewshot_as_multiturn, tokenizer)


def open_model(adapter: RankedFolder, base: str, dtype: str, args: argparse.Namespace) -> tuple[Any, Any]:
    """Load base model and adapter; returns the lm-eval model and the handle that sets the rank."""
    from aurac.harness import ENGINES
    from aurac.harness.model import load_base
    from aurac_adapters import load_ranked
    from aurac_adapters.layer.merging import obstacle
    from aurac_adapters.layer.nested import NestedAdapter

    model, tokenizer = load_base(base, dtype, args.device, trust_remote_code=args.trust_remote_code)
    nested = load_ranked(model, adapter, inference=served(args.inference, args.gain, adapter.inference))
    options = {} if args.batch_size is None else {"batch_size": args.batch_size}
    adapted: Any = nested
    if args.engine != "hflm" and not args.no_merge and isinstance(nested, NestedAdapter) and obstacle(nested) is None:
        adapted = merged_if_it_fits(nested)
    return ENGINES[args.engine](nested.model.eval(), tokenizer, **options), adapted


def merged_if_it_fits(nested: NestedAdapter) -> Any:
    """Return the adapter merged rank by rank, or as it is where the memory for a copy of the weights is lacking."""
    from aurac.harness.engine.batches import is_out_of_memory
    from aurac_adapters.layer.merging import MergedAdapter

    try:
        return MergedAdapter(nested)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        print("no memory for a second copy of the adapted weights: ranks are not merged", file=sys.stderr)
        return nested


def adapter_identity(adapter: RankedFolder, inference: str | None) -> dict[str, Any]:
    """Return what of an adapter moves its scores."""
    return {
        "path": str(adapter.path),
        "sha256": adapter.sha256,
        **adapter.method.to_dict(),
        **{name: adapter.config[name] for name in ("rank_pattern", "alpha_pattern") if adapter.config.get(name)},
        "inference": inference or adapter.inference,
        "sidecar": adapter.has_sidecar,
    }


def report(record: Run, args: argparse.Namespace) -> str:
    """Write the plots into the record's folder and return the tables."""
    from aurac.report.comparison import compare
    from aurac.report.plots.curves import save_curves

    if not record.tasks:
        return ""
    assert record.path is not None
    save_curves([record], record.path / "curves.png", record.path / "curves.pdf", tasks=record.tasks, axis=args.axis)
    print(f"{record.path}: the record, curves.png and curves.pdf", file=sys.stderr)
    comparison = compare([record], axis=args.axis, rule=args.rule, confidence_level=args.confidence_level)
    return comparison.render(args.format)
