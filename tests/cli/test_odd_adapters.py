"""Adapters with odd keys and options through every command: one line says what was read, and the numbers are right."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from adapter_by_peft import TASKS
from aurac import load
from aurac_adapters import read_facts

Call = Callable[..., Any]
KEYS = r"the weights have keys that PEFT would not find; they are read as it writes them: _orig_mod. of torch.compile"
OPTION = "the configuration has options that this PEFT does not know and leaves out: use_superlora = True"


@pytest.fixture
def odd(adapters: dict[str, Path], tmp_path: Path) -> Path:
    folder = copytree(adapters["one"], tmp_path / "odd")
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    tensors = {f"_orig_mod.{key}": tensor for key, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_superlora": True}))
    return folder


def said(call: Call, *arguments: str | Path) -> list[int]:
    """Call a command and return how often it said each note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as for users: a warning is printed once for its place
        done = call(*arguments)
    assert done.status == 0, done.err
    return [sum(note in str(warning.message) for warning in caught) for note in (KEYS, OPTION)]


def test_info_prints_the_notes_as_rows(call: Call, odd: Path) -> None:
    done = call("info", odd)
    assert (done.status, done.err) == (0, "")
    assert [KEYS in done.out, OPTION in done.out] == [True, True]
    assert [note[:20] for note in json.loads(call("info", odd, "--format", "json").out)["notes"]] == [
        "the weights have key",
        "the configuration ha",
    ]


def test_score_says_each_note_once_records_them_and_gives_the_numbers_of_clean_keys(
    call: Call, odd: Path, scored: dict[str, Path], tmp_path: Path
) -> None:
    assert said(call, "score", odd, "--tasks", "tilt", *TASKS, "--out", tmp_path / "run") == [1, 1]
    found, clean = load(tmp_path / "run"), load(scored["one"])
    assert len(found.record["identity"]["adapter"]["notes"]) == 2
    assert found.curve("tilt").accuracies.tolist() == clean.curve("tilt").accuracies.tolist()


def test_slice_says_each_note_once_for_all_ranks(call: Call, odd: Path, tmp_path: Path) -> None:
    assert said(call, "slice", odd, "--rank", "1,2", "--out", tmp_path / "slices") == [1, 1]


@pytest.mark.parametrize(
    "command",
    [
        ("slice", "--rank", "2", "--merge", "--out", "OUT"),
        ("profile", "--ranks", "2", "--prompt-tokens", "8", "--new-tokens", "2", "--repeats", "1", "--out", "OUT"),
    ],
    ids=["merge", "profile"],
)
def test_other_commands_say_the_notes_too(command: tuple[str, ...], call: Call, odd: Path, tmp_path: Path) -> None:
    name, *rest = (str(tmp_path / "out") if part == "OUT" else part for part in command)
    with pytest.warns(UserWarning, match="the weights have keys|options that this") as caught:
        assert call(name, odd, *rest).status == 0
    messages = " ".join(str(found.message) for found in caught)
    assert [KEYS in messages, OPTION in messages] == [True, True]


def test_a_card_carries_the_notes(call: Call, odd: Path, scored: dict[str, Path], tmp_path: Path) -> None:
    run = copytree(scored["one"], odd / "aurac-run")
    record = json.loads((run / "run.json").read_text())
    record["identity"]["adapter"]["sha256"] = read_facts(odd).sha256
    (run / "run.json").write_text(json.dumps(record))
    with pytest.warns(UserWarning, match="the weights have keys|options that this"):
        done = call("card", odd, "--out", tmp_path / "README.md")
    assert done.status == 0, done.err
    assert "options that this PEFT does not know" in (tmp_path / "README.md").read_text()


def test_a_base_that_also_holds_an_adapter_is_one_line(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    from aurac import testbed

    both = copytree(testbed.MODEL, tmp_path / "both")
    (both / "adapter_config.json").write_bytes((adapters["two"] / "adapter_config.json").read_bytes())
    for command in (
        ("slice", adapters["one"], "--rank", "2", "--merge", "--base", both, "--out", tmp_path / "m"),
        ("score", adapters["one"], "--tasks", "tilt", *TASKS, "--base", both, "--out", tmp_path / "r"),
        ("profile", adapters["one"], "--base", both, "--out", tmp_path / "p"),
    ):
        done = call(*command)
        assert done.status == 1
        assert (
            "holds a base model and an adapter (adapter_config.json), which transformers would load on top"
            in done.error
        )
