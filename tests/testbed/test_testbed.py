"""The embedded testbed: what is committed is what the script makes, and lm-eval finds it from anywhere."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aurac import testbed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("testbed_world", ROOT / "benchmarks" / "testbed_world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["testbed_world"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (testbed.TASKS / f"{name}.jsonl").read_text().splitlines()]


def test_the_committed_documents_and_mixture_follow_from_the_seed(world_module: ModuleType) -> None:
    tasks, train = world_module.documents(world_module.make_world(0), 0)
    assert {name: rows(name) for name in tasks} == tasks
    assert rows("train") == train
    other, _ = world_module.documents(world_module.make_world(1), 1)
    assert other["facts"] != tasks["facts"]


def test_the_committed_tokenizer_has_the_words_of_the_world(world_module: ModuleType) -> None:
    words = world_module.vocabulary(world_module.make_world(0))
    vocab = json.loads((testbed.MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    assert vocab == {word: i for i, word in enumerate(words)}
    assert len(set(words)) == len(words)


def test_every_taught_fact_contradicts_what_the_base_model_read(world_module: ModuleType) -> None:
    world = world_module.make_world(0)
    assert sum(relation in ("town", "job") for relation, _ in world.new) == 256
    for (relation, name), value in world.new.items():
        assert (value in world.values[relation][name]) == (relation in ("pet", "food"))
    assert not [word for word in world.dictionary if world.dictionary[word] == world.cipher[word]]


def test_facts_and_tilt_ask_what_was_trained_and_cipher_asks_pairs_that_were_not() -> None:
    trained = {row["prompt"]: row["completion"] for row in rows("train")}
    for document in rows("facts") + rows("tilt"):
        assert trained[document["query"]] == f" {document['choices'][document['gold']]} ."
        assert len(set(document["choices"])) == 4
    assert not [document for document in rows("cipher") if document["query"] in trained]


def test_the_folder_is_small_enough_for_the_wheel() -> None:
    folder = Path(testbed.__file__).parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_plain_lm_eval_finds_the_tasks_and_the_base_model_knows_only_the_old_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(tmp_path)
    results = simple_evaluate(
        HFLM(pretrained=str(testbed.MODEL), dtype="float32", batch_size=64, device="cpu"),
        tasks=list(testbed.TASK_NAMES),
        task_manager=TaskManager(include_path=str(testbed.TASKS), include_defaults=False),
        bootstrap_iters=0,
    )["results"]
    assert results["facts"]["sample_len"] == results["tilt"]["sample_len"] == 256
    assert results["cipher"]["sample_len"] == 64
    assert results["facts"]["acc,none"] == 0.0  # the old value is always preferred to the new one
    assert results["tilt"]["acc,none"] == pytest.approx(0.5, rel=0.2)  # two equally likely values: 3.2 standard errors
    assert results["cipher"]["exact_match,none"] == 0.0
    assert not list(tmp_path.iterdir())


def test_the_base_model_read_the_world_well(world_module: ModuleType) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    world = world_module.make_world(0)
    model = AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(testbed.MODEL)
    known = 0
    for relation in ("town", "job"):
        wording = world_module.WORDINGS[relation][2]
        prompts = [wording.format(name=name, value="").removesuffix("  .") for name in world.people]
        with torch.no_grad():
            logits = model(torch.tensor(tokenizer(prompts)["input_ids"])).logits  # (people, words, vocabulary)
        best = tokenizer.convert_ids_to_tokens(logits[:, -1].argmax(-1).tolist())
        known += sum(world.values[relation][name] == (word,) for name, word in zip(world.people, best, strict=True))
    assert known / 512 > 0.98
