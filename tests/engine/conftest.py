"""A byte-level BPE that merges across borders, a tiny model, and the engine beside HFLM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from aurac.harness.engine.lm import AuracLM
from engine_cases import tiny_llama

# Every word becomes one token, so "the c" + "at sat" is cut elsewhere than between the two strings.
CORPUS = ["cat", " the", "at s", "n t", " an", "ion:", " a", "Que"]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE without a pre-tokenizer's word borders, so that merges cross them: "on the" may be one token."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"], show_progress=False
    )
    bpe.train_from_iterator(CORPUS * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return tiny_llama(len(tokenizer))


@pytest.fixture(scope="session")
def pair_of(tokenizer: PreTrainedTokenizerFast) -> Callable[..., tuple[AuracLM, HFLM]]:
    """The engine and HFLM over the same model; HFLM scores one request at a time.

    HFLM without its cache of logits: where two requests agree in context + continuation[:-1] but divide it
    differently, 0.4.13 reads the first positions of the longer continuation for the shorter one
    (`Collator.get_cache`), which are the wrong ones.
    """

    def build(model: Any, tokenizer: Any = tokenizer, **options: Any) -> tuple[AuracLM, HFLM]:
        ours = {"batch_size": "auto"} | options
        theirs = {name: value for name, value in options.items() if name not in {"token_budget", "batch_size"}}
        return (
            AuracLM(pretrained=model, tokenizer=tokenizer, **ours),
            HFLM(pretrained=model, tokenizer=tokenizer, softmax_dtype="float32", logits_cache=False, **theirs),
        )

    return build


@pytest.fixture
def lms(pair_of: Callable[..., tuple[AuracLM, HFLM]], model: LlamaForCausalLM) -> tuple[AuracLM, HFLM]:
    return pair_of(model)
