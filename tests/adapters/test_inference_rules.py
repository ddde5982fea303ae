"""The rules `matched` and `projected`, and gains, against brute force on whole update matrices."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from scipy.optimize import lsq_linear
from torch._dynamo.testing import CompileCounter

from aurac.errors import AdapterError, UnknownNameError
from aurac_adapters import (
    DyLora,
    Lora,
    MatryoshkaLora,
    NestedMethod,
    at_rank,
    attach,
    export_slice,
    load_adapter,
    read_adapter,
    read_facts,
    save_adapter,
    svd_rotate,
)
from aurac_adapters.layer.layer_gate import gram_of
from aurac_adapters.methods.inference import INFERENCES, find_rule, split_gain, with_gain
from tiny import TOKENS, logits, nested, randomise, tiny_llama
from tolerance import assert_same_function

METHODS_HERE = [
    Lora(max_rank=8, scaling="sqrt"),
    DyLora(max_rank=8, scaling="rank"),
    MatryoshkaLora(max_rank=8),
    MatryoshkaLora(max_rank=8, train_ranks=[3, 5, 8], scaling="rank", normalize=True),
]
names = [f"{m.name}-{m.scaling}" for m in METHODS_HERE]
BY_LAYER = [name for name in INFERENCES if INFERENCES[name].by_layer]
Make = Callable[..., Path]


def factors(rng: np.random.Generator, rank: int = 8, width: int = 20, out: int = 12) -> tuple[Any, Any]:
    """A (rank, width) and B (out, rank) whose rank-one terms are far from right angles."""
    shared_a, shared_b = rng.normal(size=(1, width)), rng.normal(size=(out, 1))
    return rng.normal(size=(rank, width)) + 2 * shared_a, rng.normal(size=(out, rank)) + 2 * shared_b


def diagonal(method: NestedMethod, rank: int, rule: str, a: Any, b: Any) -> Any:
    return method.inference_diagonal(rank, rule, gram=gram_of(torch.tensor(a), torch.tensor(b)))


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_matched_is_one_factor_that_gives_the_prefix_the_norm_of_the_trained_update(
    method: NestedMethod, rank: int
) -> None:
    a, b = factors(np.random.default_rng(rank))
    d = diagonal(method, rank, "matched", a, b)
    assert np.unique(d[:rank]).size == 1
    assert not d[rank:].any()
    trained = np.linalg.norm(b @ np.diag(method.kept_diagonal(rank)) @ a)
    np.testing.assert_allclose(np.linalg.norm(b @ np.diag(d) @ a), trained, rtol=1e-12)  # rounding of float64


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("rank", [1, 3, 7, 8])
def test_projected_has_the_least_distance_to_the_whole_trained_update(method: NestedMethod, rank: int) -> None:
    a, b = factors(np.random.default_rng(rank))
    d = diagonal(method, rank, "projected", a, b)
    whole = b @ np.diag(method.kept_diagonal(8)) @ a
    terms = np.stack([np.outer(b[:, i], a[i]).ravel() for i in range(rank)], axis=1)  # (out * in, rank)
    found = lsq_linear(terms, whole.ravel(), tol=1e-14).x  # the terms written out, no Gram matrix
    np.testing.assert_allclose(d[:rank], found, rtol=1e-8)  # the Gram matrix squares the condition of about 20
    assert not d[rank:].any()
    distance = np.linalg.norm(whole - b @ np.diag(d) @ a)
    for other in ("prefix", "trained", "matched"):
        assert distance <= np.linalg.norm(whole - b @ np.diag(diagonal(method, rank, other, a, b)) @ a) * (1 + 1e-12)


def test_more_ranks_than_a_layer_has_dimensions_leave_the_least_distance() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=(2, 12))  # 12 terms in a space of 6 dimensions
    method = MatryoshkaLora(max_rank=12)
    whole = b @ np.diag(method.kept_diagonal(12)) @ a
    served = b @ np.diag(diagonal(method, 8, "projected", a, b)) @ a
    np.testing.assert_allclose(served, whole, rtol=1e-6, atol=1e-6 * np.abs(whole).max())  # 8 terms span all of it


def test_a_layer_that_was_never_trained_and_one_of_zero_rows_have_numbers() -> None:
    a, b = factors(np.random.default_rng(0))
    b[:, 1] = 0
    for rule in BY_LAYER:
        assert np.isfinite(diagonal(MatryoshkaLora(max_rank=8), 4, rule, a, b)).all()
        assert np.isfinite(diagonal(MatryoshkaLora(max_rank=8), 4, rule, a, 0 * b)).all()


@pytest.mark.parametrize("rule", BY_LAYER)
def test_at_full_rank_projected_is_what_was_trained_and_matched_has_its_norm(rule: str) -> None:
    method = MatryoshkaLora(max_rank=8)
    d = diagonal(method, 8, rule, *factors(np.random.default_rng(0)))
    assert (d.tolist() == method.kept_diagonal(8).tolist()) == (rule == "projected")


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("rule", INFERENCES)
def test_every_layer_is_evaluated_with_the_diagonal_of_its_own_weights(method: NestedMethod, rule: str) -> None:
    adapter = nested(method, dtype=torch.float64, inference=rule)
    held = adapter.model.state_dict()
    for rank in (1, 3, 8):
        adapter.set_rank(rank)
        explicit = tiny_llama(torch.float64)
        for name, module in explicit.named_modules():
            key = f"base_model.model.{name}.lora_{{}}.default.weight"
            if key.format("A") in held:
                a, b = held[key.format("A")].numpy(), held[key.format("B")].numpy()
                module.weight.data += torch.tensor(b @ np.diag(diagonal(method, rank, rule, a, b)) @ a)
        # rounding of float64 sums, relative to logits of about 1
        assert_same_function(logits(adapter.model), logits(explicit))


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("rule", [*BY_LAYER, "projected-gain-2", "trained-gain-0.5"])
def test_a_slice_in_plain_peft_has_the_logits_of_the_rule(
    method: NestedMethod, rule: str, make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder(method)
    ours = load_adapter(tiny_llama(), folder, inference=rule)
    for rank in (1, 3, 8):
        plain = PeftModel.from_pretrained(
            tiny_llama(), export_slice(folder, rank, tmp_path / f"{rank}", inference=rule)
        )
        with at_rank(ours, rank):
            # float32 factors evaluated in float64: what is left is the rounding of folded factors, 6e-8 each
            assert_same_function(logits(plain.double()), logits(ours.model.double()), rounding=torch.float32)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_padded_and_merged_forms_are_the_same_function(rule: str, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8))
    padded = export_slice(folder, 3, tmp_path / "padded", inference=rule, pad_to=16)
    ours = load_adapter(tiny_llama(), folder, inference=rule)
    ours.set_rank(3)
    before = logits(ours.model)
    # float32 sums of another order
    assert_same_function(logits(PeftModel.from_pretrained(tiny_llama(), padded)), before)
    ours.model.merge_adapter()
    assert_same_function(logits(ours.model), before)
    ours.model.unmerge_adapter()
    assert_same_function(logits(ours.model), before)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_embedding_layers_have_a_diagonal_of_their_own_too(rule: str) -> None:
    method = MatryoshkaLora(max_rank=8)
    model = get_peft_model(tiny_llama(), method.lora_config(target_modules=["embed_tokens", "q_proj"]))
    randomise(model)
    adapter = attach(model.eval(), method, inference=rule)
    layer = adapter.model.get_input_embeddings()
    a, b = layer.lora_embedding_A["default"].detach(), layer.lora_embedding_B["default"].detach()
    for rank in (1, 5):
        adapter.set_rank(rank)
        d = method.inference_diagonal(rank, rule, gram=gram_of(a, b))
        expected = layer.base_layer(TOKENS) + sum(d[i] * a[i][TOKENS][..., None] * b[:, i] for i in range(8))
        assert_same_function(layer(TOKENS), expected)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_layers_of_smaller_rank_use_the_rows_they_have(rule: str) -> None:
    config = LoraConfig(r=8, lora_alpha=8, rank_pattern={"q_proj": 3}, target_modules="all-linear")
    model = get_peft_model(tiny_llama(torch.float64), config, autocast_adapter_dtype=False)
    randomise(model)
    adapter = attach(model.eval(), Lora(max_rank=8), strict=False, inference=rule)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    x = torch.randn(2, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for rank, used in ((2, 2), (5, 3)):
        adapter.set_rank(rank)
        d = diagonal(Lora(max_rank=8), rank, rule, a.numpy(), b.numpy())[:3]
        assert np.count_nonzero(d) == used
        scaled = layer.scaling["default"] * (x @ a.T * torch.tensor(d)) @ b.T
        assert_same_function(layer(x), layer.base_layer(x) + scaled)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_rows_of_a_batch_may_have_different_ranks(rule: str) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), inference=rule)
    with at_rank(adapter, [1, 8, 3]):
        together = logits(adapter.model)
    for row, rank in enumerate((1, 8, 3)):
        with at_rank(adapter, rank):
            alone = logits(adapter.model, TOKENS[row : row + 1])
        assert_same_function(together[row : row + 1], alone)


@pytest.mark.parametrize("rule", BY_LAYER)
@pytest.mark.parametrize("by", ["step", "rank"])
def test_an_evaluation_in_the_middle_of_training_sees_the_weights_as_they_are(rule: str, by: str) -> None:
    method = MatryoshkaLora(max_rank=8)
    adapter = nested(method, inference=rule)
    adapter.set_rank(3)
    before = logits(adapter.model)
    adapter.set_step(1)
    with torch.no_grad():
        for name, weight in adapter.model.named_parameters():
            if "lora_A" in name:
                weight[0] *= 3.0
    if by == "rank":
        adapter.set_rank(3)
    after = logits(adapter.model.eval())
    assert not torch.allclose(before, after, rtol=1e-3)  # far outside rounding
    fresh = get_peft_model(tiny_llama(), method.lora_config())
    fresh.load_state_dict(adapter.model.state_dict())
    again = attach(fresh.eval(), method, inference=rule)
    again.set_rank(3)
    assert torch.equal(logits(again.model), after)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_training_goes_on_with_the_diagonal_of_training(rule: str) -> None:
    plain, ours = nested(MatryoshkaLora(max_rank=8)), nested(MatryoshkaLora(max_rank=8), inference=rule)
    assert torch.equal(logits(plain.model.train()), logits(ours.model.train()))


@pytest.mark.parametrize("rule", BY_LAYER)
def test_a_deep_copy_has_a_rank_of_its_own(rule: str) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), inference=rule)
    full = logits(adapter.model)
    copied = copy.deepcopy(adapter.model)
    with at_rank(copied, 2):
        assert not torch.equal(logits(copied), full)
        assert torch.equal(logits(adapter.model), full)


@pytest.mark.parametrize("rule", BY_LAYER)
def test_torch_compile_makes_one_graph_for_all_ranks(rule: str) -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    adapter = nested(MatryoshkaLora(max_rank=8), inference=rule)
    layer = adapter.model.base_model.model.model.layers[0].self_attn.q_proj
    compiled = torch.compile(layer, backend=counter, fullgraph=True)
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    for rank in range(1, 9):
        adapter.set_rank(rank)
        torch.testing.assert_close(compiled(x), layer(x))
    assert counter.frame_count == 1


@pytest.mark.parametrize("rule", [*INFERENCES, "matched-gain-1.5"])
def test_the_sidecar_names_the_rule_and_its_gain(rule: str, tmp_path: Path) -> None:
    folder = save_adapter(nested(MatryoshkaLora(max_rank=8), inference=rule), tmp_path / "adapter")
    assert read_adapter(folder).inference == read_facts(folder).inference == rule
    assert f"inference {rule}" in read_adapter(folder).scaling_note
    assert load_adapter(tiny_llama(), folder).inference == rule


def test_a_sidecar_with_a_rule_that_is_none_is_refused(make_folder: Make) -> None:
    folder = make_folder(Lora(max_rank=8))
    sidecar = folder / "aurac_adapter.json"
    for wrong in ("matchd", "prefix-gain-0", "prefix-gain-x", 3):
        text = sidecar.read_text()
        sidecar.write_text(json.dumps(json.loads(text) | {"inference": wrong}))
        with pytest.raises(AdapterError, match=r"has inference .*; known: prefix, trained, matched, projected"):
            read_adapter(folder)


@pytest.mark.parametrize("rule", [*INFERENCES, "prefix-gain-3"])
def test_rotation_rotates_the_update_that_the_rule_serves_at_full_rank(
    rule: str, make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8))
    rotated = load_adapter(tiny_llama(), svd_rotate(folder, tmp_path / "svd", inference=rule))
    served = load_adapter(tiny_llama(), folder, inference=rule)
    # factors are stored in float32
    assert_same_function(logits(rotated.model), logits(served.model))


def test_after_rotation_the_prefix_is_the_nearest_diagonal_already(make_folder: Make, tmp_path: Path) -> None:
    folder = svd_rotate(make_folder(Lora(max_rank=8)), tmp_path / "svd")
    a, b = (load_adapter(tiny_llama(), folder, inference=rule) for rule in ("prefix", "projected"))
    for rank in (1, 3):
        a.set_rank(rank)
        b.set_rank(rank)
        assert_same_function(logits(a.model), logits(b.model))


def test_a_gain_multiplies_the_served_update_at_every_rank() -> None:
    method = MatryoshkaLora(max_rank=8)
    for rule in ("prefix", "trained"):
        for rank in (1, 8):
            p = method.inference_diagonal(rank, rule)
            assert method.inference_diagonal(rank, f"{rule}-gain-4").tolist() == (4 * p).tolist()


def test_a_gain_is_written_behind_the_rule_and_replaces_the_one_that_was_there() -> None:
    assert with_gain("trained-gain-3", 2.5) == "trained-gain-2.5"
    assert with_gain("trained-gain-3", None) == "trained-gain-3"
    assert split_gain("projected-gain-1e-3") == ("projected", 0.001)
    assert find_rule("matched-gain-2") is INFERENCES["matched"]


@pytest.mark.parametrize("wrong", ["prefix-gain-", "prefix-gain-zero", "prefix-gain--1", "prefix-gain-inf"])
def test_a_gain_that_is_no_positive_number_is_refused(wrong: str) -> None:
    with pytest.raises(AdapterError, match=rf"inference rule '{wrong}': the gain '.*' is not a positive number"):
        split_gain(wrong)


def test_an_unknown_rule_is_answered_with_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown inference rule 'projectd'. Did you mean 'projected'"):
        split_gain("projectd")


def test_a_rule_that_needs_the_weights_says_so_without_them() -> None:
    with pytest.raises(AdapterError, match=r"'matched' depends on the weights, so every layer has a diagonal of its"):
        MatryoshkaLora(max_rank=8).inference_diagonal(2, "matched")
