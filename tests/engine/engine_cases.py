"""Requests, a tiny model and the comparison with HFLM that the tests of the engine share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import LlamaConfig, LlamaForCausalLM

from aurac.harness.engine.lm import AuracLM
from tolerance import same_log_likelihoods

WINDOW = 96


def request(context: str, continuation: str, index: int = 0) -> Instance:
    return Instance("loglikelihood", doc={}, arguments=(context, continuation), idx=index)


def requests(*pairs: tuple[str, str]) -> list[Instance]:
    return [request(context, continuation, i) for i, (context, continuation) in enumerate(pairs)]


def generation(prompt: str, **options: Any) -> Instance:
    return Instance("generate_until", doc={}, arguments=(prompt, options), idx=0)


def rolling(text: str) -> Instance:
    return Instance("loglikelihood_rolling", doc={}, arguments=(text,), idx=0)


def tiny_llama(vocabulary: int, *, seed: int = 0, attention: str = "sdpa", tied: bool = False) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=WINDOW,
        initializer_range=0.2,  # large enough that what a token sees changes its logits
        bos_token_id=0,
        eos_token_id=1,
        attn_implementation=attention,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).eval()


def assert_same(ours: AuracLM, theirs: HFLM, asked: Sequence[Instance]) -> list[tuple[float, bool]]:
    found = ours.loglikelihood(list(asked), disable_tqdm=True)
    wanted = theirs.loglikelihood(list(asked), disable_tqdm=True)
    assert [value for value, _ in found] == same_log_likelihoods([value for value, _ in wanted])
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    return found
