"""Adapters of other PEFT methods as LoRAs: the same function as PEFT's own layers, best at every rank."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError, RankError
from aurac_adapters import convert_method, export_slice, load_adapter, read_adapter
from aurac_adapters.layer.peft_methods import CONVERTED_BY_PEFT, CONVERTIBLE
from tiny import logits, tiny_llama
from tolerance import assert_same_function

TARGETS = ["q_proj", "k_proj", "down_proj"]
SMALL: dict[str, dict[str, Any]] = {
    "ADALORA": {"init_r": 6, "target_r": 4, "total_step": 10},
    "C3A": {"block_size": 8},
    "DELORA": {"r": 4},
    "FOURIERFT": {"n_frequency": 50, "scaling": 20.0},
    "GRALORA": {"r": 8, "gralora_k": 2},
    "LOHA": {"r": 3},
    "LOKR": {"r": 4},
    "MISS": {"r": 8},
    "PSOFT": {"r": 8},
    "RANDLORA": {"r": 4, "projection_prng_key": 1},
    "TINYLORA": {},
    "UNILORA": {"r": 4},
    "VBLORA": {"r": 4, "num_vectors": 16, "vector_length": 8, "topk": 2},
    "VERA": {"r": 8},
    "WAVEFT": {"n_frequency": 64, "scaling": 5.0},
}
# The smaller side of the narrowest layer is 16: no update of k_proj has a larger rank.
FULL = {"LOHA": 9, "MISS": 8, "VERA": 8, "DELORA": 4, "ADALORA": 6}


def config_of(kind: str, **options: Any) -> Any:
    made = PEFT_TYPE_TO_CONFIG_MAPPING[next(t for t in PEFT_TYPE_TO_CONFIG_MAPPING if t.value == kind)]
    return made(**({"target_modules": TARGETS, "task_type": "CAUSAL_LM"} | SMALL.get(kind, {}) | options))


def other_method(kind: str, folder: Path, **options: Any) -> Path:
    """An adapter of another method whose trainable parameters have moved away from their start."""
    torch.manual_seed(3)
    model = get_peft_model(tiny_llama(), config_of(kind, **options))
    generator = torch.Generator().manual_seed(5)
    for name, weight in model.named_parameters():
        if weight.requires_grad and "modules_to_save" not in name:
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tiny_llama().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.filterwarnings("ignore::UserWarning")  # of methods that are not looked for
def test_the_table_is_what_the_peft_that_is_installed_converts() -> None:
    found = set()
    for kind in PEFT_TYPE_TO_CONFIG_MAPPING:
        try:
            options = {"r": 8} if kind.value in {"MISS", "PSOFT"} else {}
            model = get_peft_model(tiny_llama(), config_of(kind.value, **options))
        except (TypeError, ValueError):  # a method without target modules, or that does not fit layers this small
            continue
        layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
        if layers and all(layer.supports_lora_conversion("default") for layer in layers):
            found.add(kind.value)
    assert found - {"LORA"} == set(CONVERTED_BY_PEFT)


@pytest.mark.parametrize("kind", CONVERTIBLE)
def test_a_converted_adapter_is_the_function_of_its_method(kind: str, base: Path, tmp_path: Path) -> None:
    folder = other_method(kind, tmp_path / "other")
    expected, without = logits(PeftModel.from_pretrained(tiny_llama(), folder)), logits(tiny_llama())
    made = convert_method(folder, tmp_path / "lora", base=str(base))
    assert made.rank == made.full_rank == FULL.get(kind, made.rank)
    assert made.error < 2e-3
    got = logits(PeftModel.from_pretrained(tiny_llama(), made.path))
    # PEFT decomposes in float32 and keeps what float32 tells from 0: 3e-4 of the update
    effect = float((expected - without).abs().max())
    assert effect > 1e-3
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-3 * effect)
    assert read_adapter(made.path).method.name == "svd-lora"
    assert json.loads((made.path / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"


@pytest.mark.parametrize("kind", ["LOHA", "VERA", "ADALORA"])
def test_a_smaller_rank_is_the_best_one_and_a_prefix_of_the_whole(kind: str, base: Path, tmp_path: Path) -> None:
    folder = other_method(kind, tmp_path / "other")
    whole = convert_method(folder, tmp_path / "whole", base=str(base))
    small = convert_method(folder, tmp_path / "small", base=str(base), rank=3)
    sliced = export_slice(whole.path, 3, tmp_path / "sliced")
    a, b = (load_file(path / "adapter_model.safetensors") for path in (small.path, sliced))
    for key in a:
        torch.testing.assert_close(a[key], b[key])
    model, lost, all_of_it = PeftModel.from_pretrained(tiny_llama(), folder), 0.0, 0.0
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            values = torch.linalg.svdvals(layer.get_delta_weight("default").detach().double()) ** 2
            lost, all_of_it = lost + float(values[3:].sum()), all_of_it + float(values.sum())
    assert small.lost == pytest.approx((lost / all_of_it) ** 0.5, rel=1e-3)  # from float32
    assert whole.lost < 1e-5
    with pytest.raises(RankError, match=rf"rank {whole.rank + 1} is out of range; allowed: 1 to {whole.rank}"):
        convert_method(folder, tmp_path / "large", base=str(base), rank=whole.rank + 1)


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match:RuntimeWarning")  # plain PEFT
def test_adalora_with_a_budget_of_ranks_is_folded(base: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = get_peft_model(tiny_llama(), config_of("ADALORA", tinit=1, tfinal=1, deltaT=1))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(1, 9):
        tokens = torch.randint(0, 32, (4, 12), generator=torch.Generator().manual_seed(step))
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    model.save_pretrained(tmp_path / "other")
    expected = logits(PeftModel.from_pretrained(tiny_llama(), tmp_path / "other"))
    made = convert_method(tmp_path / "other", tmp_path / "lora", base=str(base))
    assert_same_function(logits(PeftModel.from_pretrained(tiny_llama(), made.path)), expected)


def test_a_head_that_was_trained_whole_comes_along(base: Path, tmp_path: Path) -> None:
    folder = other_method("LOHA", tmp_path / "other", modules_to_save=["lm_head"])
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors["base_model.model.lm_head.weight"] += 0.1
    save_file(tensors, path, metadata={"format": "pt"})
    expected = logits(PeftModel.from_pretrained(tiny_llama(), folder))
    made = convert_method(folder, tmp_path / "lora", base=str(base))
    assert_same_function(logits(PeftModel.from_pretrained(tiny_llama(), made.path)), expected)
    ours = load_adapter(tiny_llama(), made.path)
    assert_same_function(logits(ours.model), expected)


@pytest.mark.parametrize("kind", CONVERTIBLE)
def test_the_refusal_of_another_method_gives_the_way_out(kind: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    with pytest.raises(
        AdapterError, match=rf"is of type '{kind}'; only LORA has sub-ranks. Make a LoRA .* aurac convert"
    ):
        read_adapter(tmp_path)


@pytest.mark.parametrize("kind", ["IA3", "HIRA", "PREFIX_TUNING"])
def test_a_method_that_is_no_lora_says_which_are(kind: str, base: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    for door in (read_adapter, lambda folder: convert_method(folder, tmp_path / "out", base=str(base))):
        with pytest.raises(
            AdapterError, match=rf"is of type '{kind}'.* is no matrix of low rank .* of these one is: ADALORA"
        ):
            door(tmp_path)


def test_what_cannot_be_converted_is_one_sentence(
    base: Path, make_foreign: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(AdapterError, match=r"is a LoRA already: it needs no conversion. Score or slice it, or order"):
        convert_method(make_foreign("lora"), out, base=str(base))
    with pytest.raises(AdapterError, match=r"uses use_dora, which no rank indexes: it divides by the norm of W \+ B A"):
        convert_method(make_foreign("dora", use_dora=True), out, base=str(base))
    folder = other_method("LOHA", tmp_path / "other")
    with pytest.raises(AdapterError, match=r"does not name its base model. Give it with --base"):
        convert_method(folder, out)
    path = folder / "adapter_model.safetensors"
    whole = load_file(path)
    save_file({f"_orig_mod.{key}": tensor for key, tensor in whole.items()}, path, metadata={"format": "pt"})
    with pytest.raises(AdapterError, match=r"lacks \d+ tensors that its configuration asks for"):
        convert_method(folder, out, base=str(base))
    save_file({key: torch.zeros_like(tensor) for key, tensor in whole.items()}, path, metadata={"format": "pt"})
    with pytest.raises(AdapterError, match=r"all updates are 0, so the adapter does nothing"):
        convert_method(folder, out, base=str(base))
    assert not out.exists()
