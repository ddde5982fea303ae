"""Budgets of parameters: how they are shared out over layers, and the folders that are cut at them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, convert_to_lora, get_peft_model
from safetensors.torch import load_file

from aurac.errors import AdapterError, DataError, RankError, UnknownNameError
from aurac_adapters import export_budget, load_adapter, read_adapter, svd_rotate
from aurac_adapters.export.rotation import rotate
from aurac_adapters.folder.budgets import plan_budgets, spectra_of
from aurac_adapters.methods.allocation import ALLOCATIONS, Spectrum, parameters_of, ranks_above, ranks_within
from tiny import TOKENS, logits, randomise, tiny_llama
from tolerance import assert_same_function

Make = Callable[..., Path]
PATTERN = {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 2}}
THRESHOLDS = (0.5, 0.7, 0.9, 0.95)


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Spectrum]:
    energies = st.lists(st.floats(0.01, 100), min_size=1, max_size=3)
    return {
        name: Spectrum(np.array(sorted(draw(energies), reverse=True)), draw(st.integers(1, 20)))
        for name in "abc"[: draw(st.integers(1, 3))]
    }


def every_choice(spectra: dict[str, Spectrum]) -> list[dict[str, int]]:
    ranks = product(*(range(len(each.energies) + 1) for each in spectra.values()))
    return [dict(zip(spectra, choice, strict=True)) for choice in ranks]


@given(layers(), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_no_other_choice_of_the_same_price_keeps_more_energy(spectra: dict[str, Spectrum], budget: int) -> None:
    def kept(ranks: dict[str, int]) -> float:
        return sum(float(spectra[name].energies[:rank].sum()) for name, rank in ranks.items())

    found = ranks_within(spectra, "energy", budget)
    spent = parameters_of(spectra, found)
    assert spent <= budget
    rivals = [choice for choice in every_choice(spectra) if parameters_of(spectra, choice) <= spent]
    assert kept(found) >= max(map(kept, rivals)) * (1 - 1e-12)


@given(layers(), st.integers(1, 120), st.integers(0, 60), st.sampled_from(sorted(ALLOCATIONS)))
@settings(max_examples=80, deadline=None)
def test_a_smaller_budget_is_part_of_a_larger_one(
    spectra: dict[str, Spectrum], budget: int, more: int, allocation: str
) -> None:
    small, large = (ranks_within(spectra, allocation, size) for size in (budget, budget + more))
    assert all(small[name] <= large[name] for name in spectra)


def test_the_rules_by_hand() -> None:
    spectra = {"a": Spectrum(np.array([16.0, 4.0, 1.0]), 10), "b": Spectrum(np.array([1.0, 1.0, 1.0]), 10)}
    assert ranks_within(spectra, "uniform", 45) == {"a": 2, "b": 2}
    assert ranks_within(spectra, "energy", 25) == {"a": 2, "b": 0}
    # Singular values as shares of the layer's largest: 1, 1/2, 1/4 and 1, 1, 1, so those of b come first.
    assert ranks_within(spectra, "ratio", 40) == {"a": 1, "b": 3}
    # Shares of energy that are lost without a term: 1, 5/21, 1/21 and 1, 2/3, 1/3.
    assert ranks_within(spectra, "threshold", 50) == {"a": 2, "b": 3}
    assert ranks_above(spectra, "threshold", 0.25) == {"a": 1, "b": 3}


@pytest.mark.filterwarnings("ignore:Converting a PEFT adapter to LoRA that is already a LoRA adapter")
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_threshold_is_pefts(threshold: float, make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign(target_modules=["q_proj", "down_proj"], **PATTERN)
    model = PeftModel.from_pretrained(tiny_llama(), folder)
    _, tensors = convert_to_lora(model, threshold)
    spectra = spectra_of(read_adapter(svd_rotate(folder, tmp_path / "rotated")))
    ranks = ranks_above(spectra, "threshold", 1 - threshold)
    theirs = {name.removesuffix(".lora_A.weight"): len(a) for name, a in tensors.items() if ".lora_A." in name}
    assert ranks == theirs
    rotated = load_file(tmp_path / "rotated/adapter_model.safetensors")
    for name, rank in ranks.items():
        ours = rotated[f"{name}.lora_B.weight"][:, :rank] @ rotated[f"{name}.lora_A.weight"][:rank]
        update = tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
        torch.testing.assert_close(ours, update, rtol=1e-5, atol=1e-5 * float(update.abs().max()))  # the bound


def rotated(make: Make, tmp_path: Path, allocate: str, **options: Any) -> Path:
    return svd_rotate(make(f"of-{allocate}", **options), tmp_path / allocate, allocate=allocate)


@pytest.mark.parametrize("allocate", sorted(ALLOCATIONS))
@pytest.mark.parametrize("pad_to", [None, "max"])
def test_unmodified_peft_has_the_logits_that_are_evaluated(
    allocate: str, pad_to: Any, make_foreign: Make, tmp_path: Path
) -> None:
    folder = rotated(make_foreign, tmp_path, allocate)
    plan = plan_budgets(read_adapter(folder), [0.3])
    budget = next(iter(plan.budgets.values()))
    assert budget.used <= 0.3 * plan.whole
    ours = load_adapter(tiny_llama(), folder)
    ours.set_layer_ranks(budget.ranks)
    cut = export_budget(folder, 0.3, tmp_path / "cut", pad_to=pad_to)
    config = json.loads((cut / "adapter_config.json").read_text())
    assert bool(config["rank_pattern"]) is (pad_to is None and allocate != "uniform")
    theirs = PeftModel.from_pretrained(tiny_llama(), cut)
    assert_same_function(logits(theirs), logits(ours.model))
    assert not torch.equal(logits(theirs), logits(tiny_llama()))


def test_a_budget_of_1_is_the_whole_adapter_to_the_bit(make_foreign: Make, tmp_path: Path) -> None:
    folder = rotated(make_foreign, tmp_path, "energy")
    found = read_adapter(folder)
    (budget,) = plan_budgets(found, [1]).budgets.values()
    assert (budget.used, budget.rank) == (budget.size, 8)
    whole, cut = load_adapter(tiny_llama(), folder), load_adapter(tiny_llama(), folder)
    cut.set_layer_ranks(budget.ranks)
    assert torch.equal(logits(whole.model), logits(cut.model))


def test_layers_of_smaller_rank_offer_what_they_have(make_foreign: Make) -> None:
    found = read_adapter(make_foreign(target_modules=["q_proj", "down_proj"], **PATTERN))
    spectra = spectra_of(found)
    assert {name.rpartition(".")[2]: len(each.energies) for name, each in spectra.items()} == {
        "q_proj": 4,
        "down_proj": 8,
    }
    plan = plan_budgets(found, [0.5, 1.0])
    assert plan.allocation == "uniform"
    assert plan.whole == sum(tensor.numel() for tensor in found.tensors().values())


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ((), "no budgets given"),
        ((0,), "budget 0 is not above 0"),
        ((-0.1,), r"budget -0.1 is not above 0"),
        ((float("nan"),), "budget nan is not above 0"),
        ((1.5,), "budget 1.5 is above 1 and no whole number"),
        ((10**9,), "is more than the whole adapter has"),
        ((3,), r"budget 3 \(.* of the adapter\) holds no rank of .*, whose smallest is"),
        (("half",), "budget 'half' is no number"),
        ((True,), "budget True is no number"),
    ],
)
def test_budgets_that_are_none_are_refused(budgets: Any, message: str, make_foreign: Make) -> None:
    with pytest.raises(RankError, match=message):
        plan_budgets(read_adapter(make_foreign()), budgets)


def test_layers_that_are_not_the_adapters_are_refused(make_foreign: Make) -> None:
    adapter = load_adapter(tiny_llama(), make_foreign())
    with pytest.raises(AdapterError, match="ranks were given for other layers than the adapter has, such as"):
        adapter.set_layer_ranks({"q_proj": 1})


def test_an_allocation_that_is_none_is_refused(make_foreign: Make, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown allocation 'enrgy'. Did you mean 'energy'"):
        svd_rotate(make_foreign(), tmp_path / "out", allocate="enrgy")
    assert not (tmp_path / "out").exists()


def test_calibrated_prefixes_come_nearest_to_the_outputs() -> None:
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    a, b = draw(4, 9), draw(7, 4)
    inputs = draw(200, 9) * torch.logspace(-2, 1, 9, dtype=torch.float64)  # some directions are hardly used
    hidden = inputs @ a.T
    new_a, new_b = rotate(a, b, hidden.T @ hidden / len(hidden))
    torch.testing.assert_close(new_b @ new_a, b @ a, rtol=1e-7, atol=1e-7)  # float64, through a Cholesky factor
    outputs = inputs @ (b @ a).T
    for rank in range(1, 4):
        lost = torch.linalg.norm(outputs - inputs @ (new_b[:, :rank] @ new_a[:rank]).T)
        least = torch.linalg.norm(torch.linalg.svdvals(outputs)[rank:])  # no matrix of this rank loses less
        torch.testing.assert_close(lost, least, rtol=1e-6, atol=0.0)  # float64; the ridge is 1e-10 of the mean
        plain_a, plain_b = rotate(a, b)
        assert lost <= torch.linalg.norm(outputs - inputs @ (plain_b[:, :rank] @ plain_a[:rank]).T)


def test_an_empty_calibration_text_is_refused_and_nothing_is_written(make_foreign: Make, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(" \n")
    with pytest.raises(DataError, match=r"the calibration text .* is empty"):
        svd_rotate(make_foreign(), tmp_path / "out", calibrate=text)
    assert not (tmp_path / "out").exists()


def test_the_rank_one_terms_of_an_embedding_count_too(tmp_path: Path) -> None:
    model = get_peft_model(tiny_llama(), LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"]))
    randomise(model)
    model.save_pretrained(tmp_path / "embedded", save_embedding_layers=False)
    folder = svd_rotate(tmp_path / "embedded", tmp_path / "rotated", allocate="energy")
    cut = export_budget(folder, 0.5, tmp_path / "cut")
    ours = load_adapter(tiny_llama(), folder)
    ours.set_layer_ranks(next(iter(plan_budgets(read_adapter(folder), [0.5]).budgets.values())).ranks)
    assert_same_function(logits(PeftModel.from_pretrained(tiny_llama(), cut), TOKENS), logits(ours.model, TOKENS))
