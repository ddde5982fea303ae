"""Adapters of others' making at budgets, as they are: ranks by layer, zero-padded federated ones, weighted sums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from aurac_adapters import export_budget, load_adapter, read_adapter, svd_rotate
from aurac_adapters.folder.budgets import plan_budgets
from aurac_adapters.layer.nested import lora_layers
from tiny import logits, randomise, tiny_llama
from tolerance import assert_same_function

BY_LAYER = {"layers.0.self_attn.q_proj": 7, "layers.1.mlp.up_proj": 2}


def config(**options: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "up_proj"], **options})


def ranks_by_layer(path: Path) -> Path:
    """What EVA and AdaLoRA leave: a rank and a factor for each layer."""
    model = get_peft_model(tiny_llama(), config(rank_pattern=BY_LAYER, alpha_pattern={"layers.0.self_attn.q_proj": 21}))
    randomise(model)
    model.save_pretrained(path)
    return path


def zero_padded(path: Path, *, mixed: bool = False) -> Path:
    """What HetLoRA and FlexLoRA leave: one global rank, of which layers use 3, 5 or all 8 rows, or mixtures of them."""
    model = get_peft_model(tiny_llama(), config(r=8))
    randomise(model)
    for used, (_, layer) in zip((3, 5, 8, 3), lora_layers(model, "default"), strict=True):
        layer.lora_A["default"].weight.data[used:] = 0
        layer.lora_B["default"].weight.data[:, used:] = 0
        if mixed:
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(used)))[0]
            a.data, b.data = turn.T @ a.data, b.data @ turn
    model.save_pretrained(path)
    return path


def weighted_sum(path: Path) -> Path:
    """What `add_weighted_adapter` makes of two: one behind the other."""
    model = get_peft_model(tiny_llama(), config())
    model.add_adapter("two", config(r=2))
    randomise(model)
    model.add_weighted_adapter(["default", "two"], [0.7, 0.7], "sum", combination_type="cat")
    model.save_pretrained(path, selected_adapters=["sum"])
    return path / "sum"


@pytest.mark.parametrize("make", [ranks_by_layer, zero_padded, weighted_sum])
@pytest.mark.parametrize("allocate", [None, "energy"])
@pytest.mark.parametrize("budget", [0.5, 1.0])
def test_a_slice_at_a_budget_has_the_logits_that_are_evaluated(
    make: Callable[[Path], Path], allocate: str | None, budget: float, tmp_path: Path
) -> None:
    theirs = make(tmp_path / "theirs")
    folder = theirs if allocate is None else svd_rotate(theirs, tmp_path / "rotated", allocate=allocate)
    ours = load_adapter(tiny_llama(), folder)
    (chosen,) = plan_budgets(read_adapter(folder), [budget]).budgets.values()
    ours.set_layer_ranks(chosen.ranks)
    for pad_to in (None, "max"):
        cut = PeftModel.from_pretrained(
            tiny_llama(), export_budget(folder, budget, tmp_path / str(pad_to), pad_to=pad_to)
        )
        assert_same_function(logits(cut), logits(ours.model))
    if budget == 1:
        whole = logits(PeftModel.from_pretrained(tiny_llama(), theirs))
        assert_same_function(logits(ours.model), whole)
        assert allocate is not None or torch.equal(logits(ours.model), whole)


@pytest.mark.parametrize("mixed", [False, True])
def test_padding_of_zeros_is_the_last_that_a_budget_takes(mixed: bool, tmp_path: Path) -> None:
    folder = svd_rotate(zero_padded(tmp_path / "theirs", mixed=mixed), tmp_path / "rotated", allocate="energy")
    found = read_adapter(folder)
    plan = plan_budgets(found, [0.99, 1.0])
    almost, whole = plan.budgets.values()
    assert whole.used == whole.size == plan.whole
    assert set(almost.ranks.values()) == {3, 5, 8}  # what the clients filled, and nothing of the zeros
