"""Rank 0: the base model with the adapter in place and without effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from aurac.errors import AdapterError
from aurac_adapters import Lora, MatryoshkaLora, attach, load_adapter, load_ranked, read_ranked
from aurac_adapters.layer.merging import MergedAdapter
from aurac_adapters.methods.inference import INFERENCES
from tiny import logits, nested, randomise, tiny_llama

Make = Callable[..., Path]


@pytest.mark.parametrize("inference", INFERENCES)
def test_it_is_the_base_model_to_the_bit_and_every_rank_comes_back(inference: str) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), inference=inference)
    adapter.set_rank(3)
    before = logits(adapter.model)
    adapter.set_base()
    assert torch.equal(logits(adapter.model), logits(tiny_llama()))
    adapter.set_rank(3)
    assert torch.equal(logits(adapter.model), before)


def test_a_merged_adapter_gives_the_base_its_own_weights_back(make_folder: Make) -> None:
    merged = MergedAdapter(load_adapter(tiny_llama(), make_folder(Lora(max_rank=8))))
    merged.set_rank(3)
    before = logits(merged.nested.model)
    merged.set_base()
    assert torch.equal(logits(merged.nested.model), logits(tiny_llama()))
    merged.set_rank(3)
    assert torch.equal(logits(merged.nested.model), before)


def test_a_grid_of_retrained_adapters_can_be_it_too(make_folder: Make, tmp_path: Path) -> None:
    for rank in (1, 4):
        make_folder(Lora(max_rank=rank), name=f"grid/rank-{rank}")
    grid = load_ranked(tiny_llama(), read_ranked(tmp_path / "grid"))
    full = logits(grid.model)
    grid.set_base()
    assert torch.equal(logits(grid.model), logits(tiny_llama()))
    grid.set_rank(4)
    assert torch.equal(logits(grid.model), full)


def test_nothing_becomes_trainable_on_the_way() -> None:
    adapter = nested(Lora(max_rank=8))
    adapter.model.requires_grad_(False)
    adapter.set_base()
    adapter.set_rank(2)
    assert not any(weight.requires_grad for weight in adapter.model.parameters())


def test_modules_that_were_trained_whole_are_the_base_models_own_again() -> None:
    method = Lora(max_rank=4)
    model = get_peft_model(tiny_llama(), method.lora_config(modules_to_save=["lm_head"]))
    randomise(model)
    with torch.no_grad():
        model.base_model.model.lm_head.modules_to_save["default"].weight.mul_(2.0)
    adapter = attach(model.eval(), method)
    assert not torch.equal(logits(model), logits(tiny_llama()))
    adapter.set_base()
    assert torch.equal(logits(model), logits(tiny_llama()))


def test_an_adapter_that_replaced_biases_cannot_be_it() -> None:
    config = LoraConfig(r=4, lora_alpha=4, target_modules="all-linear", bias="all")
    adapter = attach(get_peft_model(tiny_llama(), config), Lora(max_rank=4))
    with pytest.raises(AdapterError, match=r"was trained with bias, which replaces the base model's own.*--no-base"):
        adapter.set_base()


def test_a_merged_model_is_refused() -> None:
    adapter = nested(Lora(max_rank=4))
    adapter.model.merge_adapter()
    with pytest.raises(AdapterError, match=r"the adapter is merged. Unmerge it first"):
        adapter.set_base()
