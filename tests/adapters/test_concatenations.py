"""Differences and sums of adapters, which are no nested adapters: said where it can be seen, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from aurac.errors import AdapterError
from aurac_adapters import Lora, MatryoshkaLora, read_adapter, read_facts, svd_rotate
from aurac_adapters.folder.raw_tensors import read_floats
from tiny import logits, tiny_llama

Make = Callable[..., Path]
LOOKS = "the factors look like several adapters one behind the other, a sum or a difference"


def config(**options: Any) -> LoraConfig:
    return LoraConfig(
        **({"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options)
    )


def trained(model: Any, *, steps: int = 5, seed: int = 0) -> Any:
    """Train for a few steps on random tokens, as a real adapter is: A stays near its start, B leaves it."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(steps):
        tokens = torch.randint(0, 32, (4, 12), generator=generator)
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def fresh(seed: int, **options: Any) -> Any:
    base = tiny_llama(hidden=64)
    torch.manual_seed(seed)
    return trained(get_peft_model(base, config(**options)), seed=seed)


def converted(init: str, tmp_path: Path) -> Path:
    """What PEFT saves as plain LoRA: the trained half, then minus the initial half."""
    base = tiny_llama(hidden=64)
    model = get_peft_model(base, config(init_lora_weights=init))
    model.peft_config["default"].init_lora_weights = True
    model.save_pretrained(tmp_path / "initial")
    model.peft_config["default"].init_lora_weights = init
    trained(model).save_pretrained(
        tmp_path / "converted", path_initial_model_for_weight_conversion=str(tmp_path / "initial")
    )
    return tmp_path / "converted"


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_4", "olora"])
@pytest.mark.filterwarnings("ignore:.*(olora|pissa|PiSSA|OLoRA).*:UserWarning")
def test_a_converted_difference_is_noted_and_its_rotation_is_not(init: str, tmp_path: Path) -> None:
    folder = converted(init, tmp_path)
    with pytest.warns(UserWarning, match=LOOKS):
        found = read_adapter(folder)
    assert "Rotate it first (aurac rotate), and use the result" in found.notes[0]
    assert read_facts(folder).notes == found.notes
    with pytest.warns(UserWarning, match=LOOKS):
        rotated = svd_rotate(folder, tmp_path / "rotated")
    assert read_adapter(rotated).notes == ()
    plain = PeftModel.from_pretrained(tiny_llama(hidden=64), folder)
    # the same update, summed in another order in float32
    torch.testing.assert_close(
        logits(PeftModel.from_pretrained(tiny_llama(hidden=64), rotated)), logits(plain), rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_facts_read_the_same_numbers_as_torch(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    save_file({"a": tensor, "b": torch.arange(3)}, tmp_path / "file.safetensors")
    found = read_floats(tmp_path / "file.safetensors", ["a", "b"])
    assert list(found) == ["a"]
    assert np.array_equal(found["a"], tensor.float().numpy())


def weighted(tmp_path: Path, weights: list[float], seeds: list[int], **options: Any) -> Path:
    model = fresh(seeds[0], **options)
    names = ["default"]
    for number, seed in enumerate(seeds[1:]):
        names.append(f"more{number}")
        torch.manual_seed(seed)
        model.add_adapter(names[-1], config(**options))
        model.set_adapter(names[-1])
        trained(model, seed=seed + 10)
    model.add_weighted_adapter(names, weights, "sum", combination_type="cat")
    model.save_pretrained(tmp_path / "out", selected_adapters=["sum"])
    return tmp_path / "out" / "sum"


@pytest.mark.parametrize(
    ("weights", "seeds"),
    [
        ([1.0, 1.0], [3, 3]),
        ([1.0, -1.0], [3, 3]),
        ([1.0, 0.5], [3, 4]),
        ([0.7, 0.3], [3, 4]),
        ([1.0, 1.0, 1.0], [3, 3, 3]),
    ],
    ids=["sum, one start", "difference, one start", "weighted", "weighted again", "three"],
)
def test_a_weighted_sum_is_noted_where_it_can_be_seen(weights: list[float], seeds: list[int], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=LOOKS):
        read_adapter(weighted(tmp_path, weights, seeds))


@pytest.mark.parametrize(
    "options", [{}, {"init_lora_weights": "gaussian"}, {"r": 1}, {"r": 2}, {"r": 16}, {"use_rslora": True}]
)
@pytest.mark.parametrize("seed", range(3))
def test_a_plain_adapter_is_no_concatenation(options: dict[str, Any], seed: int, tmp_path: Path) -> None:
    fresh(seed, **options).save_pretrained(tmp_path / "plain")
    assert read_adapter(tmp_path / "plain").notes == read_facts(tmp_path / "plain").notes == ()


@pytest.mark.parametrize("method", [Lora(max_rank=8), MatryoshkaLora(max_rank=8, scaling="sqrt")], ids=lambda m: m.name)
def test_a_nested_adapter_that_lost_its_sidecar_is_no_concatenation(method: Any, make_folder: Make) -> None:
    folder = make_folder(method)
    (folder / "aurac_adapter.json").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_adapter(folder).notes == ()


@pytest.mark.parametrize("init", ["pissa", "olora", "corda", "lora_ga"])
def test_the_refusal_says_convert_and_then_rotate(init: str, make_foreign: Make) -> None:
    folder = make_foreign()
    text = (
        (folder / "adapter_config.json")
        .read_text()
        .replace('"init_lora_weights": true', f'"init_lora_weights": "{init}"')
    )
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(
        AdapterError, match=r"convert it to plain LoRA with PEFT .* and then rotate the result \(aurac rotate\)"
    ):
        read_adapter(folder)
