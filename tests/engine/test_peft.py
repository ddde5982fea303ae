"""Adapters: the engine scores what PEFT puts around a model, at the rank it has now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, PromptTuningConfig, get_peft_model

from aurac.harness.engine.lm import AuracLM
from engine_cases import assert_same, requests, tiny_llama

Pair = tuple[AuracLM, HFLM]
PAIRS = [(f"{'qz' * 30} {letter * 9}", choice) for letter in "abcdefghijk" for choice in (" x", " y w")]


def test_every_rank_of_an_adapter_has_hflms_answers(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    torch.manual_seed(0)
    lora = LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "down_proj", "lm_head"], task_type="CAUSAL_LM")
    model = get_peft_model(tiny_llama(len(tokenizer)), lora).eval()
    weights = [weight for name, weight in model.named_parameters() if "lora_B" in name]
    for weight in weights:
        torch.nn.init.normal_(weight, std=0.5)
    pair = pair_of(model)
    answers = []
    for rank in (8, 4, 1):
        with torch.no_grad():
            for weight in weights:
                weight[:, rank:] = 0
        answers.append(assert_same(*pair, requests(*PAIRS)))
    assert answers[0] != answers[1] != answers[2]
    assert pair[0].work.fallback is None


@pytest.mark.filterwarnings("ignore:slower path")
def test_prompt_tuning_is_left_to_hflm(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    prompts = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    pair = pair_of(get_peft_model(tiny_llama(len(tokenizer)), prompts).eval())
    assert_same(*pair, requests(*PAIRS[:4]))
    assert pair[0].capability.level == "hflm"
