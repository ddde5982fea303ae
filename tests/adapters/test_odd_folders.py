"""Folders as people have them: unknown options, no name of a base, Trainer outputs, bases that hold an adapter."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel

from aurac.errors import AdapterError, ModelError
from aurac.harness.model import load_base as load_for_scoring
from aurac.harness.model import load_tokenizer, resolve_dtype
from aurac_adapters import export_merged, export_slice, load_adapter, read_adapter, read_facts, svd_rotate
from aurac_adapters.base.model import load_base
from aurac_adapters.layer.options import KNOWN, unknown_options
from tiny import logits, tiny_llama

Make = Callable[..., Path]


def with_options(folder: Path, **options: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | options))
    return folder


def test_the_known_options_are_those_of_the_peft_that_is_installed() -> None:
    assert {field.name for field in dataclasses.fields(LoraConfig)} == KNOWN


@pytest.mark.parametrize(
    ("value", "active"),
    [
        (True, True),
        (1, True),
        ("auto", True),
        ({"a": 1}, True),
        (False, False),
        (None, False),
        ([], False),
        (0.0, False),
    ],
)
def test_an_option_is_active_unless_its_value_is_false_or_empty(value: Any, active: bool) -> None:
    assert bool(unknown_options({"r": 8, "use_superlora": value})) == active


def test_an_unknown_active_option_is_noted_by_every_door_and_not_handed_on(make_foreign: Make, tmp_path: Path) -> None:
    expected = logits(PeftModel.from_pretrained(tiny_llama(), make_foreign("clean")))
    folder = with_options(make_foreign("odd"), use_superlora=True, superlora_groups=4, use_other=False)
    said = (
        r"options that this PEFT does not know and leaves out: superlora_groups = 4, use_superlora = True. What is read"
    )
    with pytest.warns(UserWarning, match=said):
        (note,) = read_adapter(folder).notes
    assert read_facts(folder).notes == (note,)
    assert read_facts(folder).to_dict()["notes"] == [note]
    with pytest.warns(UserWarning, match=said):
        assert torch.equal(logits(load_adapter(tiny_llama(), folder).model), expected)
    for made in (lambda: export_slice(folder, 2, tmp_path / "r2"), lambda: svd_rotate(folder, tmp_path / "svd")):
        with pytest.warns(UserWarning, match=said):
            out = made()
        assert "use_superlora" not in json.loads((out / "adapter_config.json").read_text())


def test_one_load_warns_once(make_foreign: Make) -> None:
    folder = with_options(make_foreign(), use_superlora=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_adapter(tiny_llama(), folder)
    assert len([found for found in caught if issubclass(found.category, UserWarning)]) == 1


@pytest.mark.parametrize("name", ["", None])
def test_an_empty_name_of_the_base_is_none(name: str | None, make_foreign: Make) -> None:
    folder = with_options(make_foreign(), base_model_name_or_path=name)
    assert read_adapter(folder).base_model is None
    assert read_facts(folder).to_dict()["base_model"] is None


def test_the_checkpoints_of_a_trainer_are_named_the_last_as_the_example(make_foreign: Make, tmp_path: Path) -> None:
    made = make_foreign()
    for step in (500, 1000, 90):
        shutil.copytree(made, tmp_path / "out" / f"checkpoint-{step}")
    message = r"it has no adapter_config.json. These folders in it are adapters: checkpoint-90, checkpoint-500, "
    with pytest.raises(
        AdapterError, match=message + r"checkpoint-1000. Give one of them, for example .*checkpoint-1000"
    ):
        read_adapter(tmp_path / "out")


def test_of_many_checkpoints_the_last_five_are_named(make_foreign: Make, tmp_path: Path) -> None:
    made = make_foreign()
    for step in range(1, 9):
        shutil.copytree(made, tmp_path / "out" / f"checkpoint-{step}")
    with pytest.raises(AdapterError, match=r"checkpoint-4, .*checkpoint-8 \(and 3 before them\). Give one of them"):
        read_facts(tmp_path / "out")


@pytest.fixture
def both(make_foreign: Make, tmp_path: Path) -> Path:
    """A base model whose folder also holds an adapter of another base."""
    folder = tmp_path / "both"
    tiny_llama().save_pretrained(folder)
    with_options(make_foreign(), base_model_name_or_path="elsewhere")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tmp_path / "foreign" / name, folder)
    return folder


@pytest.mark.parametrize(
    "load",
    [
        lambda name: resolve_dtype(name),
        lambda name: load_tokenizer(name),
        lambda name: load_for_scoring(name, "float32", "cpu"),
        lambda name: load_base(name, dtype=torch.float32),
    ],
    ids=["dtype", "tokenizer", "score", "train"],
)
def test_a_base_that_also_holds_an_adapter_is_one_sentence(load: Callable[[str], Any], both: Path) -> None:
    with pytest.raises(ModelError, match=r"holds a base model and an adapter .* transformers would load on top of it"):
        load(str(both))


def test_merging_into_a_base_that_also_holds_an_adapter_is_refused(
    both: Path, make_foreign: Make, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"Move the adapter to a folder of its own, and name the base with --base"):
        export_merged(make_foreign("mine"), 2, tmp_path / "merged", base=str(both))


def test_an_adapter_given_as_the_base_is_one_sentence(make_foreign: Make, tmp_path: Path) -> None:
    mine = make_foreign("mine")
    with pytest.raises(ModelError, match=r"holds an adapter .* Give the base model of the adapter, and name the base"):
        export_merged(mine, 2, tmp_path / "merged", base=str(mine))
