"""The gate against plain PEFT, and against the sum over ranks written out with matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import get_peft_model

from aurac.errors import AdapterError, RankError
from aurac_adapters import METHODS, DyLora, Lora, MatryoshkaLora, NestedMethod, at_rank, attach
from aurac_adapters.methods.learned import LearnedMatryoshka
from tiny import TOKENS, checkpoint_activations, logits, nested, randomise, tiny_llama
from tolerance import assert_same_function

METHODS_HERE = [
    *(METHODS[name](max_rank=8) for name in METHODS if METHODS[name].trainable),  # a new method is tested at once
    DyLora(max_rank=8, scaling="sqrt"),
    DyLora(max_rank=8, train_ranks=[2, 8], scaling="rank", gain=2.0),
    MatryoshkaLora(max_rank=8, scaling="one"),
    MatryoshkaLora(max_rank=8, scaling="rank", normalize=True),
    MatryoshkaLora(max_rank=8, train_ranks=[3, 5, 8], scaling="sqrt", gain=0.5),
    LearnedMatryoshka(max_rank=8, scaling="sqrt"),
]
names = [f"{m.name}-{m.scaling}-{m.gain:g}-{len(m.train_ranks)}" for m in METHODS_HERE]


def explicit_model(adapter: Any, p: np.ndarray) -> Any:
    """Return the base model with W0 + B diag(p) A written into its weights in float64, by plain matrix products."""
    model = tiny_llama(torch.float64)
    factors = adapter.model.state_dict()
    for name, module in model.named_modules():
        key = f"base_model.model.{name}.lora_{{}}.default.weight"
        if key.format("A") in factors:
            a, b = factors[key.format("A")].double(), factors[key.format("B")].double()
            module.weight.data += sum(p[i] * torch.outer(b[:, i], a[i]) for i in range(len(p)))
    return model


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_every_rank_evaluates_the_sum_over_its_rank_one_terms(method: NestedMethod, inference: str) -> None:
    adapter = nested(method, dtype=torch.float64, inference=inference)
    for rank in (1, 3, 8):
        adapter.set_rank(rank)
        expected = logits(explicit_model(adapter, method.inference_diagonal(rank, inference)))
        assert_same_function(logits(adapter.model), expected)


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
def test_training_forwards_the_training_diagonal_of_the_step(method: NestedMethod) -> None:
    adapter = nested(method, dtype=torch.float64)
    adapter.model.train()
    for step in (0, 1, 2):
        adapter.set_step(step)
        expected = logits(explicit_model(adapter, method.training_diagonal(step)))
        assert_same_function(logits(adapter.model), expected)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model(TOKENS, labels=TOKENS).loss.backward()
    return {name: w.grad for name, w in model.named_parameters() if w.grad is not None and "lora_" in name}


def test_gradients_are_those_of_the_sum_of_all_nested_adapters() -> None:
    method = MatryoshkaLora(max_rank=8, scaling="rank")
    adapter = nested(method, dtype=torch.float64)
    got = gradients(adapter.model.train())
    # The published form: one LoRA branch for each train rank, each scaled by s_r, all added.
    for layer in adapter.model.modules():
        if hasattr(layer, "lora_variant"):
            layer.lora_variant = {"default": ExplicitSum(method)}
    adapter.model.zero_grad()
    expected = gradients(adapter.model)
    assert got.keys() == expected.keys()
    for name in got:
        assert_same_function(got[name], expected[name])


class ExplicitSum:
    def __init__(self, method: NestedMethod) -> None:
        self.method = method

    def forward(
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        a, b = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        return result + sum(self.method.scale(r) * (x @ a[:r].T @ b[:, :r].T) for r in self.method.train_ranks)


class ExplicitTerms:
    """B diag(p) A x as a sum of rank-one terms, for autograd to differentiate."""

    def __init__(self, p: np.ndarray, *, frozen_row: int | None = None) -> None:
        self.p, self.frozen_row = p, frozen_row

    def forward(
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        a, b = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        for i, factor in enumerate(self.p):
            row, column = a[i], b[:, i]
            if self.frozen_row is not None and i != self.frozen_row:
                row, column = row.detach(), column.detach()
            result = result + factor * (x @ row)[..., None] * column
        return result


def explicit_gradients(adapter: Any, terms: ExplicitTerms) -> dict[str, torch.Tensor]:
    for layer in adapter.model.modules():
        if hasattr(layer, "lora_variant"):
            layer.lora_variant = {"default": terms}
            for weight in (layer.lora_A["default"].weight, layer.lora_B["default"].weight):
                weight._backward_hooks = None  # those of the frozen mode
    adapter.model.zero_grad()
    return gradients(adapter.model.train())


@pytest.mark.parametrize("method", [*METHODS_HERE, DyLora(max_rank=8, frozen=True)], ids=[*names, "frozen"])
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32],
)
def test_gradients_are_those_of_the_explicit_sum_over_ranks(method: NestedMethod, dtype: torch.dtype) -> None:
    adapter = nested(method, dtype=dtype)
    step = 3
    adapter.set_step(step)
    got = gradients(adapter.model.train())
    # The original detaches all rows but the last one of the prefix.
    row = method.sampled_rank(step) - 1 if isinstance(method, DyLora) and method.frozen else None
    expected = explicit_gradients(adapter, ExplicitTerms(method.training_diagonal(step), frozen_row=row))
    assert got.keys() == expected.keys()
    for name in got:
        assert_same_function(got[name], expected[name])


@pytest.mark.parametrize("method", [Lora(max_rank=8, scaling="sqrt"), MatryoshkaLora(max_rank=8, train_ranks=[8])])
def test_with_the_identity_as_diagonal_it_is_plain_peft_to_the_bit(method: NestedMethod) -> None:
    plain = get_peft_model(tiny_llama(), method.lora_config())
    randomise(plain)
    ours = nested(method).model
    assert torch.equal(logits(ours.eval()), logits(plain.eval()))
    a, b = gradients(ours.train()), gradients(plain.train())
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_bfloat16_gates_are_bfloat16_and_change_nothing_at_full_rank() -> None:
    method = Lora(max_rank=8)
    plain = get_peft_model(tiny_llama(torch.bfloat16), method.lora_config(), autocast_adapter_dtype=False)
    randomise(plain)
    assert torch.equal(logits(nested(method, dtype=torch.bfloat16).model), logits(plain))


def test_dylora_gives_no_gradient_to_rows_above_the_drawn_rank() -> None:
    method = DyLora(max_rank=8, train_ranks=[2, 8], seed=0)
    adapter = nested(method)
    step = next(s for s in range(20) if method.sampled_rank(s) == 2)
    adapter.set_step(step)
    for name, gradient in gradients(adapter.model.train()).items():
        tail = gradient[2:] if "lora_A" in name else gradient[:, 2:]
        assert (tail == 0).all()
        assert gradient.any()


def test_frozen_dylora_changes_one_row_a_step() -> None:
    method = DyLora(max_rank=8, frozen=True)
    adapter = nested(method)
    adapter.set_step(4)
    row = method.sampled_rank(4) - 1
    for name, gradient in gradients(adapter.model.train()).items():
        changed = gradient.any(dim=1 if "lora_A" in name else 0)
        assert changed.nonzero().flatten().tolist() == [row]


def test_evaluation_in_the_middle_of_training_sees_the_inference_rule() -> None:
    method = MatryoshkaLora(max_rank=8)
    adapter = nested(method)
    plain = get_peft_model(tiny_llama(), method.lora_config())
    randomise(plain)
    adapter.model.train()
    logits(adapter.model)
    assert torch.equal(logits(adapter.model.eval()), logits(plain.eval()))


def test_a_batch_whose_rows_want_different_ranks_gives_each_row_its_own() -> None:
    adapter = nested(MatryoshkaLora(max_rank=8))
    alone = []
    for row, rank in enumerate((1, 8, 3)):
        with at_rank(adapter, rank):
            alone.append(logits(adapter.model, TOKENS[row : row + 1]))
    with at_rank(adapter, [1, 8, 3]):
        together = logits(adapter.model)
    assert_same_function(together, torch.cat(alone))
    assert adapter.rank == 8


def test_ranks_for_another_number_of_rows_are_an_error() -> None:
    adapter = nested(Lora(max_rank=8))
    with at_rank(adapter, [1, 2]), pytest.raises(AdapterError, match=r"2 ranks were set for a batch of 3 rows"):
        logits(adapter.model)


def test_at_rank_finds_the_adapter_in_a_model_and_puts_the_rank_back() -> None:
    adapter = nested(Lora(max_rank=8))
    with at_rank(adapter.model, 2) as handle:
        assert handle.rank == 2
        low = logits(adapter.model)
    assert not torch.equal(low, logits(adapter.model))
    assert adapter.rank == 8


@pytest.mark.parametrize("safe", [True, False])
def test_merging_at_a_rank_equals_evaluating_there_and_unmerging_restores(safe: bool) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), inference="trained")
    adapter.set_rank(3)
    unmerged, before = logits(adapter.model), adapter.model.base_model.model.lm_head.weight.clone()
    adapter.model.merge_adapter(safe_merge=safe)
    assert_same_function(logits(adapter.model), unmerged)
    with pytest.raises(AdapterError, match=r"the adapter is merged, so its rank is fixed"):
        adapter.set_rank(5)
    adapter.state.set_rank(5)  # even if the rank was changed behind the handle's back
    adapter.model.unmerge_adapter()
    adapter.set_rank(3)
    assert_same_function(logits(adapter.model), unmerged)
    assert_same_function(adapter.model.base_model.model.lm_head.weight, before)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    adapter = nested(MatryoshkaLora(max_rank=8))
    plain = gradients(adapter.model.train())
    adapter.model.zero_grad()
    checkpoint_activations(adapter.model)
    again = gradients(adapter.model)
    assert all(torch.equal(plain[name], again[name]) for name in plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # gates of usual types are made beforehand
def test_a_first_call_in_inference_mode_does_not_spoil_training(dtype: torch.dtype) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), dtype=dtype)
    adapter.model.train()
    with torch.inference_mode():
        adapter.model(TOKENS)
    assert gradients(adapter.model)


def test_changing_the_rank_replaces_no_tensor_so_that_compiled_graphs_stay_valid() -> None:
    adapter = nested(Lora(max_rank=8))
    gate = adapter.state.gate(False, torch.device("cpu"), torch.float32)
    adapter.set_rank(2)
    assert adapter.state.gate(False, torch.device("cpu"), torch.float32) is gate
    assert gate.tolist() == [1.0, 1.0, 0, 0, 0, 0, 0, 0]


def test_peft_refuses_to_convert_below_full_rank_since_it_does_not_see_the_gate() -> None:
    adapter = nested(Lora(max_rank=8))
    layer = next(m for m in adapter.model.modules() if hasattr(m, "lora_variant"))
    assert layer.supports_lora_conversion()
    adapter.set_rank(2)
    assert not layer.supports_lora_conversion()


def test_peft_still_offers_the_hook_that_the_gate_hangs_on() -> None:
    adapter = nested(Lora(max_rank=8))
    adapter.set_rank(1)
    plain = get_peft_model(tiny_llama(), adapter.method.lora_config())
    randomise(plain)
    difference = (logits(adapter.model) - logits(plain)).abs().max()
    assert difference > 1e-3, "this PEFT ignores layer.lora_variant; ranks would have no effect"


def test_set_rank_names_the_allowed_ranks() -> None:
    with pytest.raises(RankError, match=r"rank 0 is out of range; allowed: 1 to 8"):
        nested(Lora(max_rank=8)).set_rank(0)


def with_config(**changes: Any) -> Any:
    config = Lora(max_rank=8).lora_config()
    for key, value in changes.items():
        setattr(config, key, value)
    return get_peft_model(tiny_llama(), config)


@pytest.mark.filterwarnings("ignore:.lora_bias=True. was passed")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, r"the adapter 'default' uses use_dora, which no rank indexes.* Train with use_dora=false"),
        ({"lora_bias": True}, r"the adapter 'default' uses lora_bias, which no rank indexes"),
        ({"init_lora_weights": "mica"}, r"is a MiCALinearVariant; one variant an adapter is possible. Use plain LoRA"),
        ({"init_lora_weights": "pissa"}, r"was initialised with 'pissa', which changes the base weights"),
        ({"init_lora_weights": "olora"}, r"was initialised with 'olora', which changes the base weights"),
        (
            {"init_lora_weights": "orthogonal"},
            r"was initialised with 'orthogonal', which cancels at the full rank only",
        ),
        ({"r": 4, "lora_alpha": 4}, r"has rank 4, the method max_rank 8. Make them equal"),
        ({"lora_alpha": 3}, r"is scaled by 0.375, the method needs s_R = 1. Take the configuration from"),
    ],
)
def test_layers_that_cannot_be_nested_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        attach(with_config(**changes), Lora(max_rank=8))


def test_attaching_twice_is_refused() -> None:
    adapter = nested(Lora(max_rank=8))
    with pytest.raises(AdapterError, match=r"is nested already; one variant an adapter is possible"):
        attach(adapter.model, Lora(max_rank=8))


def test_a_model_without_the_adapter_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"no LoRA layers of an adapter 'default'. Make it with get_peft_model"):
        attach(tiny_llama(), Lora(max_rank=8))
    with pytest.raises(AdapterError, match=r"the model has no nested adapter. Call attach"), at_rank(tiny_llama(), 1):
        pass
