"""`aurac slice`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from aurac import testbed
from aurac_adapters import load_adapter
from tolerance import assert_same_function

Call = Callable[..., Any]
TOKENS = torch.tensor([[1, 2, 3, 4, 5, 6]])


def base() -> Any:
    return AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.double()(TOKENS).logits


def test_several_ranks_become_folders_that_plain_peft_loads(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    done = call("slice", adapters["one"], "--rank", "1,3", "--pad-to", "8", "--out", tmp_path / "slices")
    folders = [tmp_path / "slices" / f"rank-{rank}" for rank in (1, 3)]
    assert (done.status, done.out.split()) == (0, [str(folder) for folder in folders])
    ours = load_adapter(base(), adapters["one"])
    for rank, folder in zip((1, 3), folders, strict=True):
        ours.set_rank(rank)
        plain = PeftModel.from_pretrained(base(), folder)
        assert plain.peft_config["default"].r == 8
        assert_same_function(logits(plain), logits(ours.model))


def test_one_rank_is_merged_into_the_folder_itself(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("slice", adapters["one"], "--rank", "2", "--merge", "--base", testbed.MODEL, "--out", tmp_path / "m")
    assert (done.status, done.out) == (0, f"{tmp_path / 'm'}\n")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m").num_parameters() == base().num_parameters()


def test_nothing_is_written_if_one_of_the_ranks_cannot_be(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "slices"
    done = call("slice", adapters["one"], "--rank", "2,9", "--out", out)
    assert (done.status, done.out) == (1, "")
    assert "rank 9 is out of range; allowed: 1 to 4" in done.error
    assert not out.exists()
    (out / "rank-4").mkdir(parents=True)
    (out / "rank-4" / "notes.txt").write_text("mine")
    done = call("slice", adapters["one"], "--rank", "2,4", "--out", out)
    assert "rank-4 is not empty. Give a folder that does not exist yet" in done.error
    assert [path.name for path in out.iterdir()] == ["rank-4"]
    notes = out / "rank-4" / "notes.txt"
    done = call("slice", adapters["one"], "--rank", "2", "--out", notes)
    assert "notes.txt is a file. Give a folder that does not exist yet" in done.error
    assert notes.read_text() == "mine"


def test_a_note_says_what_servers_will_refuse(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "biased"
    shutil.copytree(adapters["one"], folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"bias": "lora_only"}))
    done = call("slice", folder, "--rank", "2", "--out", tmp_path / "r2")
    assert done.status == 0
    assert done.err.startswith("note: with bias more than the factors was trained. PEFT keeps it whole in a slice")


def test_without_merge_the_base_model_is_a_name_that_is_written_down(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    assert (
        call("slice", adapters["one"], "--rank", "2", "--base", "no/such-model", "--out", tmp_path / "r2").status == 0
    )
    config = json.loads((tmp_path / "r2" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("no/such-model", None)
    assert 'from_pretrained("no/such-model")' in (tmp_path / "r2" / "README.md").read_text()
    assert call("slice", adapters["one"], "--rank", "2", "--merge", "--base", "no/such-model", "--out", "x").status == 1


def test_padding_and_merging_exclude_each_other(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("slice", adapters["one"], "--rank", "2", "--merge", "--pad-to", "8", "--out", tmp_path / "m")
    assert stopped.value.code == 2


def test_a_rank_that_was_given_twice_is_refused(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("slice", next(iter(adapters.values())), "--rank", "2,2", "--out", tmp_path / "out")
    assert (done.status, done.error) == (1, "error: --rank 2 was given twice. Give each rank once.")
    assert not (tmp_path / "out").exists()


def test_rule_and_gain_are_folded_into_the_slice(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    alpha = {}
    for name, options in {"plain": (), "four": ("--gain", "4"), "near": ("--inference", "projected")}.items():
        assert call("slice", adapters["one"], "--rank", "2", "--out", tmp_path / name, *options).status == 0
        alpha[name] = json.loads((tmp_path / name / "adapter_config.json").read_text())["lora_alpha"]
    assert alpha["four"] == 4 * alpha["plain"]
    assert alpha["near"] == 2  # the diagonal is in B, so the factor is lora_alpha / r = 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--inference", "projectd", r"unknown inference rule 'projectd'. Did you mean 'projected'"),
        ("--inference", "prefix-gain-0", r"the gain '0' is not a positive number, such as 4 or 0.5"),
        ("--gain", "-1", r"'-1' is not a positive number"),
    ],
)
def test_a_rule_or_gain_that_is_none_is_refused(
    call: Call,
    adapters: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    message: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("slice", adapters["one"], "--rank", "2", "--out", tmp_path / "x", f"{option}={value}")
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)
