"""`aurac convert`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aurac import testbed
from aurac_adapters import read_adapter

Call = Callable[..., Any]


@pytest.fixture
def checkpoint(adapters: dict[str, Path], tmp_path: Path) -> Path:
    """The factors of an adapter as the MatryoshkaLoRA authors' code writes them."""
    tensors = load_file(adapters["one"] / "adapter_model.safetensors")
    names = {key: key.removeprefix("base_model.model.").removesuffix(".weight") for key in tensors}
    file = tmp_path / "lora_adapters_step=00010.pt"
    torch.save({names[key]: tensor.T.clone() for key, tensor in tensors.items()}, file)
    return file


def test_a_converted_checkpoint_is_an_adapter_folder(
    call: Call, checkpoint: Path, adapters: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = call(
        "convert", checkpoint, "--base", testbed.MODEL, "--method", "matryoshka", "--scaling", "rank",
        "--train-ranks", "1,2,4", "--normalize", "--out", out,
    )  # fmt: skip
    assert (done.status, done.out) == (0, f"{out}\n")
    method = read_adapter(out).method
    assert (method.name, method.train_ranks, method.scaling, method.gain) == ("matryoshka", (1, 2, 4), "rank", 1.0)
    assert method.to_dict()["normalize"]
    expected = load_file(adapters["one"] / "adapter_model.safetensors")
    found = load_file(out / "adapter_model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "lora"), "Give it with --scaling"),
        (("--method", "dylora", "--scaling", "rank"), "Give them with --train-ranks"),
        (("--method", "lora", "--scaling", "one", "--frozen"), "--frozen is not for method lora"),
        (("--method", "lora", "--scaling", "one", "--layout", "kohya"), "no LoRA factors of layout kohya"),
    ],
)
def test_mistakes_are_one_error_line(
    options: tuple[str, ...], message: str, call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    done = call("convert", checkpoint, "--base", testbed.MODEL, "--out", tmp_path / "out", *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_a_folder_is_no_checkpoint(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    options = ("--base", testbed.MODEL, "--method", "lora", "--scaling", "one", "--out", tmp_path / "out")
    done = call("convert", adapters["one"], *options)
    assert (done.status, done.out) == (1, "")
    assert "is a folder. Give the checkpoint file in it; a folder of PEFT needs no conversion." in done.error
