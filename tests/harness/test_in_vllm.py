"""Engine `vllm`: HFLM's numbers over the local adapter, rows that nobody wrote are never read, one start for all ranks.

vLLM itself is not run by the suite; here its place is taken by a stand-in with its cache and its traps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lm_eval.api.instance import Instance
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer

import aurac
from adapter_by_peft import write_adapter
from aurac import testbed
from aurac.errors import AdapterError, AuracError, OptionError, RankError
from aurac.harness.in_vllm.engine import CPU_ENVIRONMENT, ENVIRONMENT
from aurac.harness.in_vllm.lm import MAX_TARGETS, VllmLM
from aurac.harness.in_vllm.slices import MAX_LORA_RANKS, adapted_modules, max_lora_rank
from aurac.harness.model import hflm_engine
from aurac.harness.opening import Base
from aurac.results import Run
from aurac_adapters import export_slice
from fake_vllm import FakeLLM, install
from hosted_cases import OPTIONS
from tolerance import same_log_likelihoods


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "mine", seed=3)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeLLM]:
    for name in {**ENVIRONMENT, **CPU_ENVIRONMENT}:
        monkeypatch.setenv(name, os.environ.get(name, "as it was"))  # so that it is put back
    return install(monkeypatch)


def documents(run: Run) -> pd.DataFrame:
    assert run.path is not None
    keys = ["task", "rank", "doc_id", "filter", "metric"]
    return pd.read_parquet(run.path / "documents.parquet").set_index(keys).sort_index()


@pytest.mark.parametrize("rule", ["prefix", "trained"])
def test_every_document_at_every_rank_and_the_base_model_is_hflms(
    rule: str, fake: type[FakeLLM], folder: Path, tmp_path: Path
) -> None:
    asked = {"tasks": "facts,cipher", "inference": rule, **OPTIONS}
    runs = [aurac.score(folder, out=tmp_path / engine, engine=engine, **asked) for engine in ("vllm", "hflm")]
    mine, theirs = (documents(run) for run in runs if run is not None)
    assert mine.index.equals(theirs.index)
    assert mine.score.tolist() == same_log_likelihoods(theirs.score.tolist())
    llm = fake.last
    assert len(llm.models) == 4  # three ranks and the base model in one engine
    assert llm.ended
    assert llm.settings["max_lora_rank"] == 8
    assert llm.settings["max_model_len"] == 65
    assert not [path for path in tmp_path.rglob("*") if "slices" in path.name]
    assert runs[0] is not None
    assert runs[0].record["engine"] == {"software": "vllm 0.0.1"}
    work = runs[0].record["cells"][0]["work"]
    assert work["tokens_computed"] + work["tokens_cached"] == work["prompt_tokens"]


def make_lm(folder: Path | None = None) -> VllmLM:
    base = Base(
        str(testbed.MODEL),
        "float32",
        AutoTokenizer.from_pretrained(testbed.MODEL),
        AutoConfig.from_pretrained(testbed.MODEL),
    )
    from types import SimpleNamespace

    llm = FakeLLM(model=str(testbed.MODEL), tokenizer=str(testbed.MODEL), max_model_len=65)
    lm = VllmLM(llm, SimpleNamespace, base)
    lm.lora = None if folder is None else SimpleNamespace(path=str(folder))
    return lm


def choices(*pairs: tuple[str, str]) -> list[Instance]:
    return [Instance("loglikelihood", doc={}, arguments=pair, idx=i) for i, pair in enumerate(pairs)]


@pytest.mark.parametrize("only_behind_the_hit", [False, True])
def test_rows_in_the_cache_are_never_read_and_a_hit_that_reaches_too_far_is_asked_again(
    only_behind_the_hit: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeLLM, "only_behind_the_hit", only_behind_the_hit)
    lm = make_lm(folder)
    context = "the sea is blue and the grass is"
    asked = choices(
        *((context, f" {rest}") for rest in ("green", "red and green", "red and green and blue", "red", "red and")),
        ("the sea", " is blue and the grass is green"),  # begins inside what the others left in the cache
    )
    hflm = hflm_engine(lm.llm.model(lm.lora), lm.tokenizer, batch_size=1)
    found = lm.loglikelihood(asked)
    assert [value for value, _ in found] == same_log_likelihoods([value for value, _ in hflm.loglikelihood(asked)])
    assert [greedy for _, greedy in found] == [greedy for _, greedy in hflm.loglikelihood(asked)]
    assert lm.work.sent_again > 0
    assert lm.work.tokens_cached


def test_whole_texts_are_read_as_hflm_reads_them(folder: Path) -> None:
    lm = make_lm(folder)
    asked = [
        Instance("loglikelihood_rolling", doc={}, arguments=(text,), idx=0)
        for text in ("a red door", "the sea is blue " * 30)  # the second is longer than the window
    ]
    hflm = hflm_engine(lm.llm.model(lm.lora), lm.tokenizer, batch_size=1)
    assert lm.loglikelihood_rolling(asked) == same_log_likelihoods(hflm.loglikelihood_rolling(asked))


def test_more_last_tokens_than_vllm_takes_are_asked_in_parts() -> None:
    lm = make_lm()
    words = [f" {lm.tokenizer.decode([token])}" for token in range(3, 520)]
    plain = [word for word in dict.fromkeys(words) if len(lm.tok_encode(f"a{word}")) == len(lm.tok_encode("a")) + 1]
    assert len(plain) > MAX_TARGETS
    asked = choices(*(("a", text) for text in plain))
    hflm = hflm_engine(lm.llm.model(None), lm.tokenizer, batch_size=64)
    found, wanted = lm.loglikelihood(asked), hflm.loglikelihood(asked)
    assert [value for value, _ in found] == same_log_likelihoods([value for value, _ in wanted])
    assert max(len(how.logprob_token_ids) for how in lm.llm.sent) <= MAX_TARGETS


def test_each_text_that_is_drawn_has_a_seed_of_its_own() -> None:
    lm = make_lm()
    how = {"until": ["."], "max_gen_toks": 3, "do_sample": True, "temperature": 0.7}
    lm.generate_until([Instance("generate_until", doc={}, arguments=("a red", how), idx=0)] * 2)
    assert len({sent.seed for sent in lm.llm.sent}) == 2
    assert {(sent.temperature, sent.top_k) for sent in lm.llm.sent} == {(0.7, 50)}  # transformers' own top_k


def test_the_largest_rank_gets_the_smallest_buffers_that_hold_it() -> None:
    assert [max_lora_rank([1, rank]) for rank in (1, 2, 9, 33, 257, 512)] == [1, 8, 16, 64, 320, 512]
    with pytest.raises(RankError, match=rf"ranks up to {MAX_LORA_RANKS[-1]}, and 513 is asked for\. Leave it out\."):
        max_lora_rank([1, 513])


def with_key(key: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        save_file({**load_file(file), key: torch.zeros(2, 2)}, file)

    return change


def with_option(**options: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | options))

    return change


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "the output embedding": (
        with_key("base_model.model.lm_head.lora_A.weight"),
        r"adapts lm_head, which vLLM leaves out",
    ),
    "an embedding": (
        with_key("base_model.model.model.embed_tokens.lora_embedding_A"),
        r"holds base_model\.model\.model\.embed_tokens\.lora_embedding_A, and vLLM takes the factors of linear layers",
    ),
    "rows of an embedding": (with_key("base_model.model.lm_head.weight"), r"holds base_model\.model\.lm_head\.weight"),
    "DoRA": (with_option(use_dora=True), r"was trained with use_dora, which vLLM does not serve"),
    "biases": (with_option(bias="all"), r"was trained with bias, which vLLM does not serve"),
    "biases of the factors": (with_option(lora_bias=True), r"was trained with lora_bias"),
    "whole layers": (with_option(modules_to_save=["x"]), r"was trained with modules_to_save"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_vllm_would_compute_otherwise_is_refused(what: str, folder: Path, tmp_path: Path) -> None:
    change, message = REFUSED[what]
    own = export_slice(folder, 4, tmp_path / "slice")
    assert adapted_modules(own) == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    change(own)
    with pytest.raises(AdapterError, match=message):
        adapted_modules(own)


def test_a_start_that_fails_is_one_line_and_leaves_no_slices(
    fake: type[FakeLLM], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("No available memory\nfor the cache blocks.")

    monkeypatch.setattr(fake, "__init__", fails)
    with pytest.raises(
        AuracError, match=r"vLLM cannot be started .*: No available memory for the cache blocks\. A smaller"
    ):
        aurac.score(folder, tasks="facts", out=tmp_path / "run", engine="vllm", **OPTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_it_is_said_what_to_install(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"engine vllm needs the package vllm, which is not installed\. Install aurac\[vllm\]"
    ):
        aurac.score(folder, tasks="facts", out=tmp_path / "run", engine="vllm", **OPTIONS)
