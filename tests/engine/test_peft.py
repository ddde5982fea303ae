"""Adapters: the engine scores what PEFT puts around a model, at the rank it has now."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import MambaConfig, MambaForCausalLM

from aurac.harness.engine.lm import AuracLM, sweep_engine
from aurac.harness.model import hflm_engine
from aurac_adapters import load_adapter
from aurac_adapters.layer.merging import MergedAdapter, differs
from engine_cases import assert_same, requests, tiny_llama
from tolerance import same_log_likelihoods

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


WRAPPED: dict[str, dict[str, Any]] = {
    "both trained whole": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "head trained whole": {"modules_to_save": ["lm_head"]},
    "embedding trained whole": {"modules_to_save": ["embed_tokens"]},
    "LoRA on the head": {"target_modules": ["q_proj", "lm_head"]},
    "LoRA on the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "LoRA on both": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
    "trained whole and kept tied": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "LoRA that is kept tied": {"target_modules": ["q_proj", "embed_tokens"], "ensure_weight_tying": True},
    "some tokens": {"trainable_token_indices": [5, 7]},
}


@pytest.mark.filterwarnings("ignore")  # PEFT warns of tied weights, and of embeddings that it saves
@pytest.mark.parametrize("options", WRAPPED.values(), ids=list(WRAPPED))
def test_tied_embeddings_with_a_trained_head_or_embedding_are_scored_as_peft_loads_them(
    options: dict[str, Any], tokenizer: Any, tmp_path: Path
) -> None:
    """HFLM ties the weights of a model that it is given once more, and fails where PEFT has wrapped one of them."""
    lora = LoraConfig(**({"r": 4, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | options))
    trained = get_peft_model(tiny_llama(len(tokenizer), tied=True), lora).eval()
    torch.manual_seed(1)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    trained.save_pretrained(tmp_path)
    plain = PeftModel.from_pretrained(tiny_llama(len(tokenizer), tied=True), tmp_path).eval()
    ours = load_adapter(tiny_llama(len(tokenizer), tied=True), tmp_path).model
    ids = torch.arange(2, 30)[None]
    with torch.no_grad():
        assert torch.equal(ours(ids).logits, plain(ids).logits)
    asked = requests(*PAIRS)
    found, wanted = sweep_engine(ours, tokenizer), hflm_engine(plain, tokenizer)
    values = [value for value, _ in wanted.loglikelihood(asked)]
    assert [value for value, _ in found.loglikelihood(asked)] == same_log_likelihoods(values)


def test_merged_weights_that_the_model_reads_itself_are_noticed(tokenizer: Any, tmp_path: Path) -> None:
    """Mamba multiplies with the weight of dt_proj without calling it: PEFT's adapter there has no effect."""
    options = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "initializer_range": 0.2}
    merged = {}
    for name, base, targets in (
        ("mamba", lambda: MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer), **options)), ["in_proj", "dt_proj"]),
        ("llama", lambda: tiny_llama(len(tokenizer)), ["q_proj", "down_proj"]),
    ):
        torch.manual_seed(0)
        model = get_peft_model(base(), LoraConfig(r=4, lora_alpha=4, target_modules=targets))
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(parameter, std=0.5)
        model.save_pretrained(tmp_path / name)
        torch.manual_seed(0)
        merged[name] = MergedAdapter(load_adapter(base(), tmp_path / name))
    assert differs(merged["llama"]) is None
    said = (
        r"merged weights give other numbers than the adapter \(off by .* nats; the model never calls layer .*dt_proj, "
    )
    assert re.match(said, str(differs(merged["mamba"])))
    assert not any(
        layer.merged for layer in merged["mamba"].nested.model.modules() if hasattr(layer, "merged_adapters")
    )
