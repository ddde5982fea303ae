"""Benchmarks that choose their settings on other documents than those that are reported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac import testbed
from aurac.errors import RecipeError, UnknownNameError
from aurac.results import load
from aurac.workflows.bench.recipe import read_recipe
from small_recipes import TWO_STEPS

Call = Callable[..., Any]

SELECTING = f"""
models = ["someone/tiny"]
ranks = [2]
seeds = [1, 2]

{TWO_STEPS}
[suites]
test = "cipher"
held-out = "tilt"

[data.mixture]
source = "{testbed.TRAIN}"
selection = "held-out"

[methods.lora]
learning_rate = [1e-4, 5e-2]
"""


def test_a_selection_suite_decides_and_the_test_documents_are_used_once(call: Call, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SELECTING)
    command = ("bench", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--copy", f"someone/tiny={testbed.MODEL}")
    before = call(*command, "--dry-run")
    assert "grid with seed 1: 2 trainings (0 done), 2 scorings (0 done)" in before.out
    assert "at most 1 further trainings, 2 further scorings" in before.out
    assert "left, at most" not in before.out
    done = call(*command)
    assert done.status == 0
    choice = json.loads((tmp_path / "out/choice.json").read_text())
    assert choice["suite"] == "held-out"
    chosen = choice["curves"]["lora"]["chosen"]
    on_test = {path.parent.parent.name for path in (tmp_path / "out/lora").glob("*/*/aurac-run-test")}
    assert on_test == {chosen}
    assert {path.name for path in (tmp_path / "out/records").iterdir()} == {"lora-seed-1", "lora-seed-2"}
    assert load(tmp_path / "out/records/lora-seed-1").tasks == ("cipher",)
    assert "chosen with seed 1 on held-out, whose documents are not scored here" in " ".join(done.out.split())
    for setting, numbers in choice["curves"]["lora"]["candidates"].items():  # score against learning rate
        assert re.search(rf"lora\s+{setting}\s+{100 * numbers['macro']:.1f}", done.out)
    # After the first training: one of two is done, the other seed takes one more at most.
    assert re.search(r"left, at most, one at a time: 2 trainings: about \d+ min; 4 scorings: unknown", done.err)
    assert re.search(r"1 trainings: about \d+ min; 3 scorings: about \d+ min", done.err)
    again = call(*command, "--dry-run")
    assert "left, at most" not in again.out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('selection = "held-out"', 'selection = "held"', r"unknown suite 'held' in \[data.mixture\]. Did you mean"),
        (
            'selection = "held-out"',
            'selection = "held-out"\nsuites = ["test", "held-out"]',
            r"selection held-out is among its suites[;.] [cC]hoose on other documents, or leave it out",
        ),
    ],
)
def test_a_selection_that_selects_nothing_else_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SELECTING.replace(old, new))
    with pytest.raises((RecipeError, UnknownNameError), match=message):
        read_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        (f"some/tiny={testbed.MODEL}", r"unknown base model of the recipe 'some/tiny'. Did you mean 'someone/tiny'"),
        ("someone/tiny=nowhere", r"--copy someone/tiny=nowhere: nowhere is no folder. Give MODEL=DIR"),
        ("someone/tiny", r"--copy someone/tiny: nothing is no folder"),
    ],
)
def test_a_copy_of_no_model_is_refused(copy: str, message: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SELECTING)
    done = call("bench", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--copy", copy, "--dry-run")
    assert done.status == 1
    assert re.search(message, done.error)
