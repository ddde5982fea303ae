"""Which of PEFT's layers can be nested, and how the gate meets the rest of PEFT and torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import nn
from torch._dynamo.testing import CompileCounter

from aurac.errors import AdapterError, RankError
from aurac_adapters import DyLora, Lora, MatryoshkaLora, NestedMethod, SvdLora, at_rank, attach
from tiny import TOKENS, logits, nested, randomise, tiny_llama
from tolerance import assert_same_function


def with_embedding(method: NestedMethod, **options: Any) -> Any:
    config = method.lora_config(target_modules=["embed_tokens", "q_proj"])
    model = get_peft_model(tiny_llama(), config)
    randomise(model)
    return attach(model.eval(), method, **options)


def test_an_embedding_layer_looks_up_the_sum_over_the_ranks_in_use() -> None:
    method = MatryoshkaLora(max_rank=8, scaling="rank")
    adapter = with_embedding(method, inference="trained")
    layer = adapter.model.get_input_embeddings()
    a, b = layer.lora_embedding_A["default"], layer.lora_embedding_B["default"]
    for rank in (1, 4, 8):
        adapter.set_rank(rank)
        p = method.inference_diagonal(rank, "trained")
        expected = layer.base_layer(TOKENS) + sum(p[i] * a[i][TOKENS][..., None] * b[:, i] for i in range(8))
        assert_same_function(layer(TOKENS), expected)


def test_an_embedding_layer_with_the_identity_is_plain_peft_to_the_bit() -> None:
    method = Lora(max_rank=8, scaling="sqrt")
    plain = get_peft_model(tiny_llama(), method.lora_config(target_modules=["embed_tokens", "q_proj"]))
    randomise(plain)
    adapter = with_embedding(method)
    assert torch.equal(logits(adapter.model), logits(plain))
    for model in (adapter.model, plain):
        model.train()(TOKENS, labels=TOKENS).loss.backward()
    for ours, theirs in zip(adapter.model.parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None and theirs.grad is None) or torch.equal(ours.grad, theirs.grad)


def test_rows_of_a_batch_have_their_own_ranks_in_embedding_layers_too() -> None:
    adapter = with_embedding(MatryoshkaLora(max_rank=8))
    with at_rank(adapter, [1, 8, 3]):
        together = logits(adapter.model)
    for row, rank in enumerate((1, 8, 3)):
        with at_rank(adapter, rank):
            alone = logits(adapter.model, TOKENS[row : row + 1])
        assert_same_function(together[row : row + 1], alone)


@pytest.mark.parametrize("safe", [True, False])
def test_merged_embeddings_equal_unmerged_ones_and_come_back(safe: bool) -> None:
    adapter = with_embedding(MatryoshkaLora(max_rank=8))
    adapter.set_rank(3)
    before, weight = logits(adapter.model), adapter.model.get_input_embeddings().weight.clone()
    adapter.model.merge_adapter(safe_merge=safe)
    assert_same_function(logits(adapter.model), before)
    adapter.model.unmerge_adapter()
    assert_same_function(adapter.model.get_input_embeddings().weight, weight)


def test_peft_mixed_batches_are_refused_for_embeddings_which_would_ignore_the_gate() -> None:
    adapter = with_embedding(Lora(max_rank=8))
    with pytest.raises(AdapterError, match=r"embedding layers take no adapter_names. Give each row its own rank"):
        adapter.model(TOKENS, adapter_names=["default"] * 3)


def test_peft_mixed_batches_of_linear_layers_see_the_rank() -> None:
    adapter = nested(Lora(max_rank=8))
    adapter.set_rank(2)
    mixed = adapter.model(TOKENS, adapter_names=["default", "__base__", "default"]).logits.detach()
    assert_same_function(mixed[[0, 2]], logits(adapter.model)[[0, 2]])
    assert_same_function(mixed[1:2], logits(tiny_llama(), TOKENS[1:2]))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 8))


@pytest.mark.parametrize(
    ("model", "target", "kind"),
    [(Attention(), "attention", "MultiheadAttention"), (Pixels(), "conv", "Conv2d")],
)
def test_layers_that_ignore_the_gate_or_shape_it_otherwise_are_refused(
    model: nn.Module, target: str, kind: str
) -> None:
    peft_model = get_peft_model(model, Lora(max_rank=4).lora_config(target_modules=[target], task_type=None))
    with pytest.raises(AdapterError, match=rf"{target} is {kind}, which cannot be nested. Supported: Embedding, GPTQ"):
        attach(peft_model, Lora(max_rank=4))


def test_expert_parameters_are_refused_since_their_rows_are_no_ranks() -> None:
    config = LoraConfig(r=4, lora_alpha=4, target_modules=[], target_parameters=["experts.weight"])
    model = nn.Sequential()
    model.add_module("experts", Experts())
    with pytest.raises(AdapterError, match=r"uses target_parameters \(experts.weight\): lora_A of a parameter stacks"):
        attach(get_peft_model(model, config), Lora(max_rank=4))


def test_a_quantised_layer_that_ignores_variants_is_refused() -> None:
    class AwqLoraLinear(LoraLinear):  # stands for PEFT's class of this name, whose library is not installed
        pass

    model = get_peft_model(tiny_llama(), Lora(max_rank=4).lora_config(target_modules=["q_proj"]))
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.__class__ = AwqLoraLinear
    with pytest.raises(AdapterError, match=r"q_proj is AwqLoraLinear, which cannot be nested"):
        attach(model, Lora(max_rank=4))


def test_a_merged_model_is_refused() -> None:
    model = get_peft_model(tiny_llama(), Lora(max_rank=4).lora_config())
    model.merge_adapter()
    with pytest.raises(AdapterError, match=r"has a merged adapter. Unmerge it first"):
        attach(model, Lora(max_rank=4))


def test_a_bitsandbytes_layer_is_not_merged_since_its_weights_would_be_rounded() -> None:
    class Linear4bit(LoraLinear):  # stands for PEFT's class of this name
        pass

    model = get_peft_model(tiny_llama(), Lora(max_rank=4).lora_config(target_modules=["q_proj"]))
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.__class__ = Linear4bit
    adapter = attach(model, Lora(max_rank=4))
    with pytest.raises(AdapterError, match=r"Linear4bit is not merged: quantised weights would be rounded"):
        adapter.model.merge_adapter()


def test_rows_with_different_ranks_cannot_be_merged() -> None:
    adapter = nested(Lora(max_rank=4))
    with at_rank(adapter, [1, 2]), pytest.raises(AdapterError, match=r"a merged weight has one rank, but every row"):
        adapter.model.merge_adapter()


def test_layers_of_smaller_rank_are_merged_with_the_ranks_they_have() -> None:
    config = LoraConfig(r=8, lora_alpha=8, rank_pattern={"q_proj": 3}, target_modules="all-linear")
    model = get_peft_model(tiny_llama(), config)
    randomise(model)
    adapter = attach(model.eval(), Lora(max_rank=8), strict=False)
    for rank in (2, 5):
        adapter.set_rank(rank)
        before = logits(model)
        model.merge_adapter()
        assert_same_function(logits(model), before)
        model.unmerge_adapter()


def test_the_rank_of_evaluation_may_change_in_the_middle_of_a_training_step() -> None:
    adapter = nested(MatryoshkaLora(max_rank=8))
    loss = adapter.model.train()(TOKENS, labels=TOKENS).loss
    adapter.set_rank(2)  # torch would refuse the backward pass if this touched the gate of training
    loss.backward()


def test_merge_and_unload_bakes_the_rank_in() -> None:
    adapter = nested(DyLora(max_rank=8, scaling="rank"))
    adapter.set_rank(2)
    before = logits(adapter.model)
    merged = adapter.model.merge_and_unload()
    assert not any(isinstance(module, LoraLinear) for module in merged.modules())
    assert_same_function(logits(merged), before)


def test_peft_scales_go_on_working_on_top_of_the_gate() -> None:
    method = DyLora(max_rank=8, scaling="rank")
    adapter, plain = nested(method), get_peft_model(tiny_llama(), method.lora_config())
    randomise(plain)
    for model in (adapter.model, plain):
        for module in model.modules():
            if isinstance(module, LoraLinear):
                module.set_scale("default", 0.5)
    assert torch.equal(logits(adapter.model), logits(plain))


def test_a_deep_copy_has_a_rank_of_its_own() -> None:
    adapter = nested(Lora(max_rank=8))
    full = logits(adapter.model)
    copied = copy.deepcopy(adapter.model)
    with at_rank(copied, 2):
        assert not torch.equal(logits(copied), full)
        assert torch.equal(logits(adapter.model), full)


def test_ranks_may_come_as_numpy_numbers_and_torch_tensors() -> None:
    adapter = nested(Lora(max_rank=8))
    adapter.set_rank(torch.tensor([1, 2, 8]))
    assert adapter.rank == (1, 2, 8)
    adapter.set_rank(torch.tensor(4))
    assert adapter.rank == 4
    for wrong, message in (
        (torch.tensor([1.0, 2.0]), r"rank 1.0 is not a whole number"),
        ([], r"no ranks were given for the rows of the batch"),
        ([1, 9], r"rank 9 is out of range; allowed: 1 to 8"),
        (True, r"rank True is not a whole number"),
        ("8", r"rank '8' is not a whole number"),
    ):
        with pytest.raises(RankError, match=message):
            adapter.set_rank(wrong)
    assert adapter.rank == 4


@pytest.mark.parametrize("method", [DyLora(max_rank=16), MatryoshkaLora(max_rank=16)], ids=lambda m: m.name)
@pytest.mark.parametrize("training", [True, False])
def test_torch_compile_makes_one_graph_for_all_ranks(method: NestedMethod, training: bool) -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    adapter = nested(method)
    layer = adapter.model.train(training).base_model.model.model.layers[0].self_attn.q_proj
    compiled = torch.compile(layer, backend=counter, fullgraph=True)
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    for i in range(16):
        adapter.set_step(i) if training else adapter.set_rank(i + 1)
        torch.testing.assert_close(compiled(x), layer(x))
    assert counter.frame_count == 1


@pytest.mark.parametrize("method", [Lora(max_rank=8), MatryoshkaLora(max_rank=8, scaling="rank")], ids=lambda m: m.name)
def test_under_bfloat16_autocast_full_rank_is_plain_peft_to_the_bit(method: NestedMethod) -> None:
    plain = get_peft_model(tiny_llama(), method.lora_config())
    randomise(plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(logits(nested(method).model), logits(plain))


def test_frozen_dylora_draws_from_all_ranks_so_that_every_row_is_trained() -> None:
    assert DyLora(max_rank=5, frozen=True).train_ranks == (1, 2, 3, 4, 5)
    assert DyLora(max_rank=5, frozen=True, train_ranks=[1, 5]).train_ranks == (1, 5)


def test_frozen_gradients_follow_the_step_without_a_new_hook() -> None:
    method = DyLora(max_rank=8, frozen=True)
    adapter = nested(method)
    adapter.model.train()
    for step in range(4):
        adapter.set_step(step)
        adapter.model.zero_grad()
        adapter.model(TOKENS, labels=TOKENS).loss.backward()
        row = method.sampled_rank(step) - 1
        for name, weight in adapter.model.named_parameters():
            if weight.requires_grad:
                changed = weight.grad.any(dim=1 if "lora_A" in name else 0)
                assert changed.nonzero().flatten().tolist() == [row]


def test_svd_lora_can_be_used_but_not_trained() -> None:
    adapter = nested(SvdLora(max_rank=8))
    adapter.set_rank(2)
    logits(adapter.model)
    with pytest.raises(AdapterError, match=r"svd-lora is made from a trained adapter"):
        adapter.model.train()(TOKENS)
