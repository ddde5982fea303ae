"""What a folder says about itself, read without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from peft import PeftModel
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError
from aurac_adapters import (
    METHODS,
    DyLora,
    Lora,
    MatryoshkaLora,
    NestedMethod,
    read_adapter,
    read_facts,
    svd_rotate,
)
from tiny import tiny_llama

Make = Callable[..., Path]


@pytest.mark.parametrize("method", [Lora(8, gain=2.0), DyLora(8), MatryoshkaLora(8)], ids=lambda m: m.name)
def test_the_facts_are_those_that_loading_the_adapter_gives(method: NestedMethod, make_folder: Make) -> None:
    folder = make_folder(method, inference="trained")
    facts, adapter = read_facts(folder), read_adapter(folder)
    assert (facts.method, facts.inference, facts.sha256) == (method, "trained", adapter.sha256)
    model = PeftModel.from_pretrained(tiny_llama(), folder)
    assert facts.parameters == sum(w.numel() for name, w in model.named_parameters() if "lora_" in name)
    assert set(facts.layers) == {name.removesuffix(".lora_A.default") for name, _ in plain_names(model)}
    assert (facts.dtypes, facts.weights_bytes) == (("F32",), (folder / "adapter_model.safetensors").stat().st_size)
    assert facts.versions.keys() == {"aurac", "peft", "torch"}


def plain_names(model: PeftModel) -> list[tuple[str, object]]:
    modules = model.get_base_model().named_modules()
    return [(name, module) for name, module in modules if name.endswith(".lora_A.default")]


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"rank_pattern": {"q_proj": 16}}])
def test_a_folder_of_another_maker_is_read_as_scoring_reads_it(options: dict[str, object], make_foreign: Make) -> None:
    folder = make_foreign(**options)
    facts = read_facts(folder)
    assert facts.method == read_adapter(folder).method
    assert not facts.has_sidecar
    tensors = load_file(folder / "adapter_model.safetensors")
    assert facts.parameters == sum(tensor.numel() for tensor in tensors.values())


def test_the_diagonal_of_a_method_that_samples_is_the_mean_over_its_steps() -> None:
    method = DyLora(max_rank=4, scaling="rank", seed=3)
    steps = np.mean([method.training_diagonal(step) for step in range(4_000)], axis=0)
    np.testing.assert_allclose(method.mean_diagonal(), steps, rtol=0.05, atol=0.02)  # 4 standard errors of 4000 draws
    matryoshka = MatryoshkaLora(max_rank=4, scaling="rank", normalize=True)
    np.testing.assert_allclose(method.mean_diagonal(), matryoshka.training_diagonal(0))


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].trainable])
def test_every_trained_method_has_a_mean_diagonal(name: str) -> None:
    assert METHODS[name](max_rank=4).mean_diagonal().shape == (4,)


def test_a_rotated_adapter_was_not_trained_with_a_diagonal(make_foreign: Make, tmp_path: Path) -> None:
    facts = read_facts(svd_rotate(make_foreign(), tmp_path / "svd"))
    assert (facts.method.name, facts.training_diagonal) == ("svd-lora", None)


def test_torch_is_not_imported(make_folder: Make) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8))
    code = (
        "import sys; from aurac_adapters import read_facts; "
        f"read_facts({str(folder)!r}).to_dict(); "
        "print({'torch', 'peft', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_damaged_weights_are_refused(make_foreign: Make) -> None:
    path = make_foreign() / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AdapterError, match=r"adapter_model.safetensors is damaged or no safetensors file"):
        read_facts(path.parent)


def test_ranks_that_contradict_the_configuration_are_refused(make_foreign: Make) -> None:
    folder = make_foreign()
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "r": 4}))
    with pytest.raises(AdapterError, match=r"has lora_A \(8, 64\) and lora_B .*, but the configuration says r = 4"):
        read_facts(folder)


def test_a_factor_without_two_axes_is_refused(make_foreign: Make) -> None:
    path = make_foreign() / "adapter_model.safetensors"
    tensors = load_file(path)
    first = next(key for key in tensors if "lora_A" in key)
    save_file({**tensors, first: tensors[first].sum()}, path)
    with pytest.raises(AdapterError, match=r"lora_A.weight has shape \[\]; \(r, in\) or \(out, r\) is needed"):
        read_facts(path.parent)
