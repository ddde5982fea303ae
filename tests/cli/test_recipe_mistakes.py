"""Mistakes in a recipe: one line each, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac.errors import RecipeError
from aurac.workflows.bench.method_specs import Setting
from aurac.workflows.bench.recipe import read_recipe
from small_recipes import changed

Call = Callable[..., Any]

MISTAKES = {
    "no steps": (
        "[methods.svd-lora]",
        "[methods.squeeze-lora]\n\n[methods.svd-lora]",
        r"lacks max_steps, the steps that",
    ),
    "no such start": (
        "[methods.svd-lora]",
        '[methods.squeeze-lora]\nfrom = "dylora"\nmax_steps = 1\n\n[methods.svd-lora]',
        r"unknown method that squeeze-lora is made from 'dylora'",
    ),
    "gradual": (
        "[methods.svd-lora]",
        "[methods.squeeze-lora]\ngradual = 1\nmax_steps = 1\n\n[methods.svd-lora]",
        r"gradual is 1; it must be true or false",
    ),
    "no allocation": ("[methods.svd-lora]", '[methods.svd-lora]\nallocate = "enery"', r"Did you mean 'energy'"),
    "no text": ("[methods.svd-lora]", '[methods.svd-lora]\ncalibrate = "x.txt"', r"calibrate is 'x.txt'; it must be a"),
    "no such row": (
        "[methods.matryoshka]",
        '[methods.matryoshka]\nmethod = "lor"',
        r"unknown method 'lor'. Did you mean",
    ),
    "two grids": (
        "[methods.svd-lora]",
        '[methods.grid-2]\nmethod = "grid-lora"\nlearning_rate = 1e-3\n\n[methods.svd-lora]',
        r"\[methods.grid-2\] is a grid-lora; there is one of it, called grid-lora",
    ),
    "no such task": (
        'small = "tilt,cipher"',
        'small = "tilt,ciper"',
        r"\[suites\] small: unknown task 'ciper'. Did you mean 'cipher'",
    ),
    "no folder of tasks": (
        'include_path = "',
        'include_path = "/no',
        r"\[scoring\] include_path: no such folder: /no.*Give that of your tasks",
    ),
    "no such model": ('models = ["', 'models = ["/no', r"no such base model folder: /no.*Give a folder, or a hub name"),
    "no such data": ('source = "', 'source = "/no', r"no such data file: /no.*Give a JSONL file, or one of the sets"),
    "rank 0": ("ranks = [2]", "ranks = [0]", r"ranks has 0; ranks are whole numbers from 1"),
    "no text as data": ('source = "', 'source = 3 # "', r"source is 3; give a JSONL file, or the name of a set"),
    "unknown key": (
        "max_steps = 2",
        "max_step = 2",
        r"unknown key 'max_step' in \[training\]. Did you mean 'max_steps'",
    ),
    "unknown top key": ("seeds = [1, 2]", "seed = [1, 2]", r"unknown key 'seed' in the recipe. Did you mean 'seeds'"),
    "unknown method": ("[methods.matryoshka]", "[methods.matroshka]", r"unknown method 'matroshka'. Did you mean"),
    "unknown method key": ("inference = [", "inferences = [", r"unknown key 'inferences' in \[methods.matryoshka\]"),
    "unknown rule": ('"trained"]', '"train"]', r"unknown inference rule 'train'. Did you mean 'trained'"),
    "unknown scaling": ('scaling = "one"', 'scaling = "on"', r"unknown scaling rule 'on'"),
    "missing key": ("ranks = [2]", "", r"the recipe lacks ranks"),
    "no numbers": ("ranks = [2]", 'ranks = ["2"]', r"ranks is \['2'\]; it must be a list of whole numbers, each once"),
    "twice": ("seeds = [1, 2]", "seeds = [1, 1]", r"seeds is \[1, 1\]; it must be a list of whole numbers, each once"),
    "value twice": ("[1e-4, 5e-2]", "[1e-4, 1e-4]", r"learning_rate is \[0.0001, 0.0001\]; give at least one value"),
    "too many to choose": (
        "seeds = [1, 2]",
        "seeds = [1, 2]\nchoice_seeds = 3",
        r"choice_seeds is 3; it must be a number of seeds from 1 to 2",
    ),
    "no grid": ("\nlearning_rate = 5e-2", "", r"\[methods.grid-lora\] is empty. Give it at least a learning_rate"),
    "no source": ("[methods.svd-lora]", '[methods.svd-lora]\nfrom = "dylora"', r"unknown method that svd-lora is made"),
    "no table": ("[data.mixture]\nsource", "[data]\nmixture", r"\[data.mixture\] is .*; it must be a table"),
    "unknown suite": (
        "source =",
        'suites = "smal"\nsource =',
        r"unknown suite 'smal' in \[data.mixture\]. Did you mean",
    ),
    "bad suite": ('"tilt,cipher"', '"tilt,tilt"', r"\[suites\] small: task 'tilt' is asked for twice"),
    "no suite": ('"tilt,cipher"', "3", r"\[suites\] small is 3; write what --tasks takes"),
    "bad scoring": ("batch_size = 16", 'batch_size = "many"', r"\[scoring\] cannot be used: argument --batch-size"),
    "bad training": ("max_steps = 2", "max_steps = 0", r"max_steps is 0; it must be greater than 0"),
    "no TOML": ("ranks = [2]", "ranks = 2]", r"is no TOML file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_recipe_is_one_error_line_before_anything_starts(
    mistake: str, call: Call, recipe: Path, tmp_path: Path
) -> None:
    old, new, message = MISTAKES[mistake]
    done = call("bench", changed(recipe, old, new), "--out", tmp_path / "out")
    assert (done.status, done.out) == (1, "")
    assert re.search(message, done.error)
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_is_not_there_is_one_error_line(call: Call, tmp_path: Path) -> None:
    assert "no such recipe: " in call("bench", tmp_path / "x.toml", "--out", tmp_path / "out").error


def test_the_name_of_a_setting_has_all_that_the_recipe_gives() -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(Path("nowhere.toml"))
    assert (
        Setting({"scaling": "rank", "gain": 2.0, "learning_rate": 1e-4, "frozen": False}).name == "rank-gain-2-0.0001"
    )
