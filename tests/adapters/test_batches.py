"""Packing changes how examples lie in memory, not what is learned from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

from aurac.errors import ModelError
from aurac_adapters import MatryoshkaLora
from aurac_adapters.data.batches import collate, packing_collator
from aurac_adapters.data.dataset import IGNORED
from aurac_adapters.training.trainer import train
from short_training import base_model, config, record, weights
from tiny import nested, tiny_llama
from tolerance import assert_same_function, assert_same_training

ROWS = [
    {"input_ids": [1, 2, 3, 4, 5, 6, 7], "labels": [IGNORED, IGNORED, IGNORED, 4, 5, 6, 7]},
    {"input_ids": [8, 9], "labels": [IGNORED, 9]},
    {"input_ids": [10, 11, 12, 13], "labels": [10, 11, 12, 13]},  # the first token follows nothing: not learned
]


def loss_and_gradients(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    return loss.detach(), {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
# Norms and rotations of a Llama are in float32, whatever its dtype is.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_packed_loss_is_the_mean_over_completion_tokens_of_the_rows_alone(
    attention: str, dtype: torch.dtype
) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), dtype=dtype)
    model = adapter.model.train()
    model.base_model.model.set_attn_implementation(attention)
    model.base_model.model.config.use_cache = False  # as `load_base` does; with a cache transformers makes no such mask
    packed_loss, packed = loss_and_gradients(model, packing_collator(model.base_model.model)(ROWS))
    alone = [loss_and_gradients(model, collate([row])) for row in ROWS]
    counts = [4, 1, 3]
    mean = sum(n * loss for n, (loss, _) in zip(counts, alone, strict=True)) / 8
    assert_same_function(packed_loss, mean, rounding=torch.float32)
    for name, gradient in packed.items():
        expected = sum(n * gradients[name] for n, (_, gradients) in zip(counts, alone, strict=True)) / 8
        assert_same_function(gradient, expected, rounding=torch.float32)


def test_a_packed_training_makes_the_adapter_of_the_padded_one(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    texts = [("nuzugo eats", " cabbage ."), ("eats", " cabbage . . . ."), ("eats eats eats", " .")] * 8
    data.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in texts))
    padded, packed = (
        train(config(tmp_path / str(packing), data=str(data), packing=packing, gradient_accumulation=2, max_steps=2))
        for packing in (False, True)
    )
    assert_same_training(weights(packed), weights(padded))
    assert record(packed)["config"]["packing"] is True
    assert record(packed)["tokens"] == record(padded)["tokens"]
    losses = [[entry["loss"] for entry in record(out)["losses"]] for out in (packed, padded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # float32


def mamba() -> Any:
    return MambaForCausalLM(MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=32))


def bloom() -> Any:
    """Has attention, but takes no positions, and says nothing when it is given some."""
    return BloomForCausalLM(BloomConfig(hidden_size=16, n_layer=1, n_head=2, vocab_size=32, use_cache=False))


@pytest.mark.parametrize("make", [mamba, bloom])
def test_a_model_that_lets_packed_examples_see_each_other_is_refused(make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match=r"ForCausalLM lets packed examples see each other .* Train without packing"):
        packing_collator(make().eval())


def test_a_model_without_positions_is_refused() -> None:
    model = tiny_llama()
    original = model.forward
    model.forward = lambda input_ids: original(input_ids)
    with pytest.raises(ModelError, match=r"lets packed examples see each other"):
        packing_collator(model)


def test_positions_begin_again_with_each_example_and_a_cache_is_noticed() -> None:
    model = base_model()
    with pytest.raises(ModelError, match=r"lets packed examples see each other"):
        packing_collator(model)
    model.config.use_cache = False
    assert packing_collator(model)(ROWS)["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 2, 3]]
