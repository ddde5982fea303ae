"""The tokenizer of a scoring: the adapter folder's where it differs, and the embedding that it needs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer

from aurac.errors import ModelError
from aurac.harness.engine.lm import sweep_engine
from aurac.harness.model import hflm_engine, load_base
from aurac.harness.tokenizer import choose_tokenizer, fit_embedding
from aurac_adapters import load_adapter

TEMPLATE = "{% for message in messages %}<|user|>{{ message['content'] }}{% endfor %}"


@pytest.fixture
def with_new_tokens(base_folder: Path, tmp_path: Path) -> Path:
    """An adapter as trainers save it: with two tokens more, the embedding and head trained whole, and the tokenizer."""
    model, tokenizer = load_base(str(base_folder), "float32", "cpu")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|bot|>"]})
    tokenizer.chat_template = TEMPLATE
    model.resize_token_embeddings(len(tokenizer))
    lora = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    trained = get_peft_model(model, lora).eval()
    torch.manual_seed(1)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's own, of embeddings that it saves
        trained.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_folder_without_a_tokenizer_or_with_the_same_takes_the_base_models(base_folder: Path, tmp_path: Path) -> None:
    chosen = choose_tokenizer(str(base_folder), tmp_path, None)
    assert (chosen.where, chosen.note, chosen.sha256) == (None, None, None)
    AutoTokenizer.from_pretrained(base_folder).save_pretrained(tmp_path)
    assert choose_tokenizer(str(base_folder), tmp_path, None).where is None


def test_a_folder_with_another_one_brings_it_and_says_so(base_folder: Path, with_new_tokens: Path) -> None:
    chosen = choose_tokenizer(str(base_folder), with_new_tokens, None)
    assert chosen.where == str(with_new_tokens)
    assert chosen.note is not None
    assert chosen.note.startswith(
        "tokenizer: the adapter folder's, which differs from the base model's in its tokens, "
    )
    assert chosen.tokenizer.chat_template == TEMPLATE
    asked_for = choose_tokenizer(str(base_folder), with_new_tokens, str(base_folder))
    assert asked_for.note is None
    assert asked_for.sha256 != chosen.sha256


def test_a_chat_template_alone_is_a_difference(base_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    chosen = choose_tokenizer(str(base_folder), tmp_path, None)
    assert "differs from the base model's in its chat template; --tokenizer" in str(chosen.note)


@pytest.mark.filterwarnings("ignore")  # PEFT's own, of embeddings that it saves
def test_added_tokens_are_scored_as_peft_loads_them(base_folder: Path, with_new_tokens: Path) -> None:
    tokenizer = choose_tokenizer(str(base_folder), with_new_tokens, None).tokenizer
    ours, _ = load_base(str(base_folder), "float32", "cpu")
    rows = ours.get_input_embeddings().weight.shape[0]
    said = fit_embedding(ours, tokenizer, with_new_tokens)
    assert said == f"embedding: resized from {rows} to {rows + 2} rows, as many as the adapter saved"
    plain, _ = load_base(str(base_folder), "float32", "cpu")
    plain.resize_token_embeddings(len(tokenizer))
    theirs: Any = PeftModel.from_pretrained(plain, with_new_tokens).eval()
    asked = [
        Instance("loglikelihood", doc={}, arguments=arguments, idx=i)
        for i, arguments in enumerate([("<|user|>the sky is", " red"), ("<|bot|>", " blue"), ("a rose", "<|bot|>")])
    ]
    found = sweep_engine(load_adapter(ours, with_new_tokens).model, tokenizer).loglikelihood(asked)
    wanted = hflm_engine(theirs, tokenizer).loglikelihood(asked)
    # float32 sums of a few tokens, in another order
    assert [value for value, _ in found] == pytest.approx([value for value, _ in wanted], rel=1e-4)


def test_an_embedding_with_more_rows_than_tokens_is_left_as_it_is(base_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_base(str(base_folder), "float32", "cpu")
    model.resize_token_embeddings(len(tokenizer) + 40)
    assert fit_embedding(model, tokenizer, tmp_path) is None


def test_token_ids_beyond_the_embedding_are_one_line_before_the_first_call(
    base_folder: Path, with_new_tokens: Path
) -> None:
    model, _ = load_base(str(base_folder), "float32", "cpu")
    rows = model.get_input_embeddings().weight.shape[0]
    lm = sweep_engine(model, AutoTokenizer.from_pretrained(with_new_tokens))
    assert lm.capability.level == "shared"  # tried out with ids that the model has
    model.register_forward_pre_hook(lambda *_: pytest.fail("a forward call"))
    said = (
        rf"the prompts have the token id {rows}, and the model's embedding has {rows} rows\. The tokenizer is that of"
    )
    with pytest.raises(ModelError, match=said):
        lm.loglikelihood([Instance("loglikelihood", doc={}, arguments=("<|user|>the", " sky"), idx=0)])
