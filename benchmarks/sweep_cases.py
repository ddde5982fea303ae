"""What `sweep_speed.py` measures on: real questions and shots, and a model folder or a random Llama."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurac_adapters import NestedAdapter

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})

DATASETS = (
    "allenai/ai2_arc",
    "Rowan/hellaswag",
    "cais/mmlu",
    "openai/gsm8k",
    "aps/super_glue",
    "baber/piqa",
    "EleutherAI/lambada_openai",
    "allenai/winogrande",
    "allenai/openbookqa",
    "tau/commonsense_qa",
    "truthfulqa/truthful_qa",
)
# What lm-eval is asked for. GSM8K's texts end at the length of an average reference answer: a random model never
# ends them.
ANSWER_TOKENS = 128
# Short name -> lm-eval's tasks, shots, and whether every document gets the same shots (else they are drawn for each).
TASKS: dict[str, tuple[tuple[str, ...], int, bool]] = {
    "arc-easy-0": (("arc_easy",), 0, False),
    "hellaswag-0": (("hellaswag",), 0, False),
    "piqa-0": (("piqa",), 0, False),
    "boolq-0": (("boolq",), 0, False),
    "lambada-0": (("lambada_openai",), 0, False),
    "winogrande-0": (("winogrande",), 0, False),
    "openbookqa-0": (("openbookqa",), 0, False),
    "commonsense-qa-0": (("commonsense_qa",), 0, False),
    "truthfulqa-0": (("truthfulqa_mc1",), 0, False),
    "arc": (("arc_challenge",), 25, False),
    "hellaswag": (("hellaswag",), 10, False),
    "mmlu": (("mmlu_abstract_algebra",), 5, True),
    "gsm8k": (("gsm8k",), 8, False),
    "gsm8k-fixed-shots": (("gsm8k",), 8, True),
}
SHAPES: dict[str, dict[str, int | bool | str]] = {
    "small": {
        "model_type": "llama",
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
        "model_type": "llama",
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
# Every layer of Mistral has a window, every other one of Gemma 2, and five of six of Gemma 3.
WINDOWED = {"mistral": "mistral", "gemma-2": "gemma2", "gemma-3": "gemma3_text"}
SHAPES |= {
    name: SHAPES["small"] | {"model_type": kind, "head_dim": 64, "sliding_window": 4096}
    for name, kind in WINDOWED.items()
}


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


def build_adapter(
    shape: str, *, max_rank: int, device: str, dtype: str, folder: Path | None = None, **others: Any
) -> NestedAdapter:
    """The model of a folder, or one with random weights, and a LoRA on all linear layers whose B is not zero.

    `others` replace settings of the shape.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from aurac_adapters import Lora, attach

    torch.manual_seed(0)
    method = Lora(max_rank=max_rank)
    if folder is None:
        config = AutoConfig.for_model(**SHAPES[shape] | others, bos_token_id=0, eos_token_id=1, pad_token_id=None)
        base = AutoModelForCausalLM.from_config(config)
    else:
        base = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    model = get_peft_model(base.to(getattr(torch, dtype)), method.lora_config())
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    return attach(model.to(device).eval(), method)


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


def prepare(args: Namespace) -> Any:
    """Lay out the data sets, and train the tokenizer for random models, unless an earlier run did; return it."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if not all((args.hub / name).exists() for name in DATASETS):
        script = args.shared / "data" / "make_offline_hub.py"
        subprocess.run(
            [sys.executable, str(script), str(args.hub), "--only", *DATASETS], check=True, stdout=subprocess.DEVNULL
        )
    if args.model is not None:
        return AutoTokenizer.from_pretrained(args.model)
    folder = args.hub / "tokenizer"
    if not folder.exists():
        train_tokenizer(args.shared, args.hub).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)
