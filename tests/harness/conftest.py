"""A tiny random model with a LoRA, lm-eval tasks over local files, lm-eval as the reference, and shared sweeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import numpy as np
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from aurac.harness.part_order import Wanted
from aurac.harness.suite import Suite
from aurac.results import Run
from lm_eval_folders import sweep_both
from part_cases import score, suite_of, write_tasks

MAX_RANK = 8
COLOURS = ("red", "dark green", "blue", "pale yellow")
THINGS = ("the sky", "a leaf", "a rose", "the sand", "an old brick", "the sea", "a lemon", "my coat")

YAML = {
    "colours": """
task: colours
dataset_path: json
dataset_kwargs: {data_files: {train: FOLDER/train.jsonl, test: FOLDER/test.jsonl}}
output_type: multiple_choice
training_split: train
test_split: test
doc_to_text: "{{thing}} is"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
num_fewshot: 2
tag: [everything]
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
""",
    "binary": """
task: binary
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/test.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{thing}} is bright:"
doc_to_choice: ["no", "yes"]
doc_to_target: "{{label % 2}}"
metric_list:
  - {metric: f1, aggregation: f1, higher_is_better: true}
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
metadata: {version: 0}
""",
    "spell": """
task: spell
dataset_path: json
dataset_kwargs: {data_files: {train: FOLDER/train.jsonl, test: FOLDER/test.jsonl}}
output_type: generate_until
fewshot_split: train
test_split: test
doc_to_text: "say {{thing}}:"
doc_to_target: "{{first}}"
num_fewshot: 1
tag: [everything]
generation_kwargs: {until: ["\\n"], max_gen_toks: 6, do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
filter_list:
  - {name: letter, filter: [{function: regex, regex_pattern: "([a-e])"}, {function: take_first}]}
  - {name: whole, filter: [{function: take_first}]}
metadata: {version: 2.0}
""",
    "prose": """
task: prose
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/test.jsonl}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: byte_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
metadata: {version: 1.0}
""",
    "ending": """
task: ending
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/test.jsonl}}
output_type: loglikelihood
test_split: test
doc_to_text: "{{text.rsplit(' ', 1)[0]}}"
doc_to_target: "{{' ' + text.rsplit(' ', 1)[1]}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
""",
    "few": """
task: few
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/few.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{thing}}:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
num_fewshot: 0
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
""",
    "hits": """
task: hits
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/few.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "say {{thing}}:"
doc_to_target: "{{first}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4}
repeats: 2
metric_list:
  - {metric: !function scorer.hits, aggregation: mean, higher_is_better: true}
filter_list:
  - {name: both, filter: [{function: take_first_k, k: 2}]}
""",
    "pooled": """
group: pooled
task: [colours, few]
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: true}
metadata: {version: 3}
""",
    "macro": """
group: macro
task: [colours, few]
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: false}
""",
    "bundle": """
group: bundle
task: [few, spell]
""",
    "unsafe": """
task: unsafe
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/few.jsonl}}
output_type: generate_until
unsafe_code: true
test_split: test
doc_to_text: "{{thing}}"
doc_to_target: "{{first}}"
generation_kwargs: {until: ["\\n"]}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
    "away": """
task: away
dataset_path: nobody/has-this-data
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
""",
    "lost": """
task: lost
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/no-such-file.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
""",
}

SCORER = """
def hits(references, predictions, **options):
    found = [float(references[0] in text) for text in predictions[0]]
    return {"hit@1": found[0], "hit@2": max(found)}
"""


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    for name, n, seed in (("train", 12, 1), ("test", 24, 2), ("few", 6, 3)):
        rng = np.random.default_rng(seed)
        rows = [document(rng) for _ in range(n)]
        rows[-1] = rows[0]  # data sets repeat themselves
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in YAML.items():
        (folder / f"{name}.yaml").write_text(text.replace("FOLDER", str(folder)))
    (folder / "scorer.py").write_text(SCORER)
    return folder


def document(rng: np.random.Generator) -> dict[str, Any]:
    thing = str(rng.choice(THINGS))
    label = int(rng.integers(4))
    words = " ".join(str(rng.choice(COLOURS)) for _ in range(int(rng.integers(1, 9))))
    return {
        "thing": thing,
        "first": thing[0],
        "choices": [str(c) for c in rng.permutation(COLOURS)],
        "label": label,
        "text": f"{thing} is {words} é",
    }


@pytest.fixture(scope="session", autouse=True)
def dataset_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    text = [f"{thing} is {colour} no yes say bright" for thing in THINGS for colour in COLOURS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class ZeroedRows:
    """A PEFT LoRA at a sub-rank by plain means: the rows of A from the rank on are zero."""

    def __init__(self, model: Any, max_rank: int) -> None:
        self.model, self.max_rank = model, max_rank
        self.ranks_set: list[int] = []
        layers = ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_B"))
        self._rows = {name: layer.lora_A["default"].weight.detach().clone() for name, layer in layers}

    def set_rank(self, rank: int) -> None:
        self.ranks_set.append(rank)
        for name, rows in self._rows.items():
            weight = self.model.get_submodule(name).lora_A["default"].weight
            with torch.no_grad():
                weight.copy_(rows)
                weight[rank:] = 0.0

    def break_rank(self, rank: int) -> None:
        """Make the model's logits NaN from this rank on."""
        for rows in self._rows.values():
            rows[rank - 1] = float("nan")


@pytest.fixture(scope="session")
def zeroed_rows() -> type[ZeroedRows]:
    return ZeroedRows


def random_lora(base: Any, **options: Any) -> Any:
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(**options)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=2.0)
    return model


@pytest.fixture
def adapter(base_folder: Path) -> ZeroedRows:
    base = LlamaForCausalLM.from_pretrained(base_folder)
    options = {"r": MAX_RANK, "lora_alpha": MAX_RANK, "target_modules": ["q_proj", "down_proj"]}
    return ZeroedRows(random_lora(base, **options), MAX_RANK)


Reference = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def reference(task_folder: Path, tokenizer: PreTrainedTokenizerFast) -> Reference:
    """lm-eval's own answer for a model as it is now."""

    def evaluate(model: Any, task: str, **options: Any) -> dict[str, Any]:
        lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
        manager = TaskManager(include_path=str(task_folder), include_defaults=False)
        result = lm_eval.simple_evaluate(lm, tasks=[task], task_manager=manager, bootstrap_iters=0, **options)
        return dict(result)

    return evaluate


@pytest.fixture(scope="session")
def written(
    base_folder: Path, task_folder: Path, tokenizer: Any, zeroed_rows: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Run]:
    """lm-eval's output at two ranks, and our own record of the same. Seconds: once for all files that read them."""
    torch.manual_seed(3)
    config = LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base_folder), config).eval()
    out, own = tmp_path_factory.mktemp("lm-eval"), tmp_path_factory.mktemp("own") / "run"
    return out, sweep_both(zeroed_rows(model, 8), tokenizer, task_folder, out=out, own=own)


@pytest.fixture(scope="session")
def part_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    write_tasks(folder)
    return folder


@pytest.fixture(scope="session")
def part_suite(part_folder: Path) -> Suite:
    return suite_of(part_folder, "held:acc")


@pytest.fixture(scope="session")
def whole(part_suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(part_suite, tmp_path_factory.mktemp("whole") / "run", with_base=True)


@pytest.fixture(scope="session")
def part(part_suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(part_suite, tmp_path_factory.mktemp("part") / "run", Wanted(precision=4), with_base=True)


@pytest.fixture(scope="session")
def audit(part_suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(part_suite, tmp_path_factory.mktemp("audit") / "run", Wanted(audit=0.4), with_base=True)
