"""`aurac rotate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from aurac import testbed
from aurac_adapters import load_adapter, read_adapter, svd_rotate
from tolerance import assert_same_function

Call = Callable[..., Any]
TOKENS = torch.tensor([[1, 2, 3, 4, 5, 6]])


def logits(folder: Path, **options: Any) -> torch.Tensor:
    base = AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)
    with torch.no_grad():
        return load_adapter(base, folder, **options).model(TOKENS).logits


def test_a_rotated_adapter_of_any_maker_is_svd_lora_with_the_same_function_at_full_rank(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    done = call("rotate", adapters["one"], "--out", tmp_path / "svd")
    assert (done.status, done.out) == (0, f"{tmp_path / 'svd'}\n")
    assert read_adapter(tmp_path / "svd").method.name == "svd-lora"
    assert_same_function(logits(tmp_path / "svd"), logits(adapters["one"]))


@pytest.mark.parametrize(
    ("options", "inference"),
    [(("--gain", "2"), "prefix-gain-2"), (("--inference", "trained", "--gain", "2"), "trained-gain-2")],
)
def test_what_is_rotated_is_the_update_that_the_rule_serves(
    options: tuple[str, ...], inference: str, call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    assert call("rotate", adapters["one"], *options, "--out", tmp_path / "svd").status == 0
    assert_same_function(logits(tmp_path / "svd"), logits(adapters["one"], inference=inference))
    by_python = svd_rotate(adapters["one"], tmp_path / "again", inference=inference)
    weights = [(folder / "adapter_model.safetensors").read_bytes() for folder in (tmp_path / "svd", by_python)]
    assert weights[0] == weights[1]


def test_what_cannot_be_rotated_is_one_line(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("rotate", adapters["one"], "--out", adapters["two"])
    assert done.status == 1
    assert done.error == f"error: {adapters['two']} is not empty. Give a folder that does not exist yet."
    done = call("rotate", tmp_path / "nowhere", "--out", tmp_path / "svd")
    assert (done.status, done.error.startswith("error: no such folder")) == (1, True)
    assert not (tmp_path / "svd").exists()


def test_a_rule_that_does_not_exist_is_a_usage_error(
    call: Call, adapters: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("rotate", adapters["one"], "--inference", "traind", "--out", tmp_path / "svd")
    assert stopped.value.code == 2
    assert "Did you mean 'trained'" in capsys.readouterr().err
