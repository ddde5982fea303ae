"""`aurac info`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aurac

Call = Callable[..., Any]


@pytest.fixture
def with_record(adapters: dict[str, Path], scored: dict[str, Path], tmp_path: Path) -> Path:
    """An adapter folder that holds the record of its own scores."""
    folder = tmp_path / "one"
    shutil.copytree(adapters["one"], folder)
    shutil.copytree(scored["one"], folder / "aurac-run")
    return folder


def test_it_prints_what_the_adapter_is_and_what_it_was_scored_on(call: Call, with_record: Path) -> None:
    done = call("info", with_record)
    assert (done.status, done.err) == (0, "")
    facts = dict(line.strip().split("  ", 1) for line in done.out.splitlines()[1:])
    facts = {name: value.strip() for name, value in facts.items()}
    assert facts["method"].startswith("plain LoRA (no sidecar")
    assert (facts["full rank"], facts["scaling"]) == ("4", "rule one, gain 2 (lora_alpha 8)")
    assert facts["P in training"] == "p_4 = 2"
    assert facts["target modules"] == "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj (14 layers)"
    score = aurac.compute(aurac.load(with_record).curve("tilt"))
    expected = f"tilt: AURAC {100 * score.value:.2f} ± {100 * score.stderr:.2f} (acc, ranks 1, 2, 4)"
    assert f"  scored on       {expected}\n" in done.out


def test_json_holds_the_same(call: Call, with_record: Path) -> None:
    content = json.loads(call("info", with_record, "--format", "json").out)
    assert (content["method"], content["max_rank"], content["training_diagonal"]) == ("lora", 4, [2.0] * 4)
    assert content["record"]["scores"].keys() == {"facts", "tilt"}
    assert content["record"]["problems"] == []
    assert content["record"]["scores"]["facts"]["value"] == aurac.compute(aurac.load(with_record).curve("facts")).value


def test_a_record_of_other_weights_is_named(call: Call, with_record: Path, adapters: dict[str, Path]) -> None:
    shutil.copy(adapters["two"] / "adapter_model.safetensors", with_record)
    out = call("info", with_record).out
    assert "record          the record is of other weights than the folder holds now (sha256 differs)" in out


def test_a_damaged_record_does_not_hide_the_adapter(call: Call, with_record: Path) -> None:
    (with_record / "aurac-run" / "run.json").write_text("{")
    done = call("info", with_record)
    assert done.status == 0
    assert "full rank" in done.out
    assert "run.json is damaged, not JSON" in done.out


def test_an_adapter_that_was_not_scored_says_so(call: Call, adapters: dict[str, Path]) -> None:
    assert "scored on       nothing yet" in call("info", adapters["one"]).out
    assert json.loads(call("info", adapters["one"], "--format", "json").out)["record"] is None


def test_a_folder_that_is_no_adapter_is_one_error_line(call: Call, tmp_path: Path) -> None:
    done = call("info", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "is no PEFT adapter: it has no adapter_config.json" in done.error


@pytest.mark.parametrize("command", [("info",), ("slice", "--rank", "1", "--out", "x")])
def test_a_file_is_no_adapter(command: tuple[str, ...], call: Call, adapters: dict[str, Path]) -> None:
    done = call(*command, adapters["one"] / "adapter_model.safetensors")
    assert (done.status, done.out) == (1, "")
    assert "adapter_model.safetensors is a file. Give the folder of a PEFT LoRA adapter, with" in done.error
