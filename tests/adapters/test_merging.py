"""Merging for a sweep: the gate's numbers at the base model's speed, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model

from aurac.errors import AdapterError, RankError
from aurac_adapters import DyLora, Lora, MatryoshkaLora, NestedAdapter, NestedMethod, at_rank, attach
from aurac_adapters.layer.merging import MergedAdapter, obstacle
from tiny import logits, nested, randomise, tiny_llama
from tolerance import assert_same_function

METHODS = [Lora(max_rank=8), DyLora(max_rank=8), MatryoshkaLora(max_rank=8, scaling="rank")]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_a_merged_rank_gives_the_logits_of_the_gate(method: NestedMethod, inference: str) -> None:
    gated, merged = (nested(method, inference=inference) for _ in range(2))
    sweep = MergedAdapter(merged)
    for rank in (1, 8, 3, 8):
        sweep.set_rank(rank)
        with at_rank(gated, rank):
            assert_same_function(logits(merged.model), logits(gated.model))


def test_the_order_of_ranks_changes_no_bit() -> None:
    adapter = nested(METHODS[2])
    sweep = MergedAdapter(adapter)
    found = []
    for order in ((4,), (8, 1, 2, 4)):
        for rank in order:
            sweep.set_rank(rank)
        found.append(logits(adapter.model))
    assert torch.equal(*found)


def test_restoring_gives_the_base_back_to_the_bit() -> None:
    adapter = nested(METHODS[0])
    before = {name: weight.clone() for name, weight in adapter.model.named_parameters()}
    expected = logits(adapter.model)
    sweep = MergedAdapter(adapter)
    sweep.set_rank(2)
    sweep.set_rank(8)
    sweep.restore()
    assert all(torch.equal(weight, before[name]) for name, weight in adapter.model.named_parameters())
    adapter.set_rank(8)
    assert torch.equal(logits(adapter.model), expected)


def test_a_rank_that_the_adapter_does_not_have_is_refused() -> None:
    sweep = MergedAdapter(nested(METHODS[0]))
    assert sweep.max_rank == 8
    with pytest.raises(RankError, match="rank 9 is out of range"):
        sweep.set_rank(9)


def test_half_precision_would_be_rounded_and_is_refused() -> None:
    adapter = nested(METHODS[0], dtype=torch.bfloat16)
    with pytest.raises(AdapterError, match=r"cannot be merged: layer .* is bfloat16, which would round .* unmerged"):
        MergedAdapter(adapter)


def tied(target: str) -> NestedAdapter:
    base = tiny_llama()
    base.lm_head.weight = base.model.embed_tokens.weight
    model = get_peft_model(base, METHODS[0].lora_config(target_modules=[target]))
    randomise(model)
    return attach(model.eval(), METHODS[0])


def test_a_weight_that_two_layers_share_is_not_merged() -> None:
    assert "is shared with another layer" in (obstacle(tied("embed_tokens")) or "")
    assert obstacle(tied("q_proj")) is None
