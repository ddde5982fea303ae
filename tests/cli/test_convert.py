"""`aurac convert`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoHaConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

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


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("folder", (), "is a LoRA already: it needs no conversion. Score or slice it, or order its ranks with aurac"),
        ("folder", ("--method", "lora"), "--method is for a checkpoint file, and "),
        (
            "empty",
            (),
            "is no PEFT adapter: it has no adapter_config.json. Give a checkpoint file or an adapter folder.",
        ),
        (
            "file",
            ("--method", "lora", "--scaling", "one", "--rank", "2"),
            "--rank is for a PEFT folder; a file has its own",
        ),
        ("file", (), "a checkpoint file does not say its method. Give --method."),
    ],
)
def test_a_folder_and_a_file_need_other_options(
    what: str,
    options: tuple[str, ...],
    message: str,
    call: Call,
    adapters: dict[str, Path],
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    source = {"folder": adapters["one"], "empty": tmp_path / "empty", "file": checkpoint}[what]
    done = call("convert", source, "--base", testbed.MODEL, "--out", tmp_path / "out", *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_an_adapter_of_another_peft_method_becomes_a_lora_that_can_be_scored(call: Call, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)
    model = get_peft_model(base, LoHaConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_weights=False))
    model.save_pretrained(tmp_path / "loha")
    assert "Make a LoRA of its folder first: aurac convert" in call("info", tmp_path / "loha").error
    options = ("--base", testbed.MODEL, "--out")
    done = call("convert", tmp_path / "loha", *options, tmp_path / "whole")
    assert (done.status, done.out) == (0, f"{tmp_path / 'whole'}\n")
    assert "rank 4 of 4: nothing of the update is lost" in done.err  # LoHa of rank r has an update of rank r * r
    assert "rank 1 of 4: " in call("convert", tmp_path / "loha", "--rank", "1", *options, tmp_path / "small").err
    assert "svd-lora" in call("info", tmp_path / "whole").out.lower().replace(" ", "-")
