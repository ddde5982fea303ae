"""Every option of a training, a scoring and a method is a key of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurac.errors import OptionError, RecipeError, UnknownNameError
from aurac.fields import options_of
from aurac.workflows.bench import plan
from aurac.workflows.bench.method_specs import shared_options
from aurac.workflows.bench.recipe import read_recipe, score_options, scoring_options
from aurac.workflows.options import ScoreOptions
from aurac_adapters import METHODS
from aurac_adapters.training.config import TrainingConfig
from methods_from_outside import Fading

TRAINING: dict[str, tuple[str, Any]] = {
    "target_modules": ('["q_proj", "v_proj"]', ("q_proj", "v_proj")),
    "learning_rate": ("1", 1.0),
    "epochs": ("2", 2.0),
    "max_steps": ("3", 3),
    "batch_size": ("4", 4),
    "gradient_accumulation": ("2", 2),
    "max_length": ("64", 64),
    "dtype": ('"bfloat16"', "bfloat16"),
    "gradient_checkpointing": ("true", True),
    "checkpoint_steps": ("7", 7),
    "chat_template": ("true", True),
    "compile": ("true", True),
    "load_in": ('"4bit"', "4bit"),
    "packing": ("true", True),
    "attn_implementation": ('"eager"', "eager"),
    "trust_remote_code": ("true", True),
    "adapter_dtype": ('"base"', "base"),
    "init": ('"authors"', "authors"),
    "prompt_style": ('"authors"', "authors"),
    "warmup_ratio": ("0", 0.0),
    "report_to": ('["tensorboard"]', ("tensorboard",)),
}
SCORING: dict[str, tuple[str, Any]] = {
    "include_path": ('"tasks"', "tasks"),
    "protocol": ('"authors"', "authors"),
    "limit": ("8", 8.0),
    "batch_size": ('"auto"', "auto"),
    "device": ('"cpu"', "cpu"),
    "dtype": ('"float32"', "float32"),
    "seed": ("7", 7),
    "fewshot_seeds": ("[1, 2, 3]", (1, 2, 3)),
    "apply_chat_template": ("true", True),
    "system_instruction": ('"Answer briefly."', "Answer briefly."),
    "fewshot_as_multiturn": ("false", False),
    "no_merge": ("true", True),
    "engine": ('"hflm"', "hflm"),
    "url": ('"http://127.0.0.1:8000/v1"', "http://127.0.0.1:8000/v1"),
    "served_name": ('"rank-{rank}"', "rank-{rank}"),
    "load_ranks": ("true", True),
    "verify": ("true", True),
    "trust_remote_code": ("true", True),
    "confirm_unsafe": ("true", True),
}


def recipe(tmp_path: Path, *, training: str = "", scoring: str = "", methods: str = "") -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'models = ["model"]\nranks = [4]\nseeds = [1]\nsuites.small = "tilt"\ndata.rows.source = "rows.jsonl"\n'
        f"[training]\n{training}\n[scoring]\n{scoring}\n"
        + (methods or "[methods.lora]\nscaling = 'one'\n[methods.dylora]\nper_row = false\n")
    )
    return path


def the_configs(path: Path) -> list[TrainingConfig]:
    read = read_recipe(path)
    return plan.trainings(plan.grid(read, plan.studies(read, Path("out"))[0]))


@pytest.mark.parametrize("key", TRAINING)
def test_an_option_of_a_training_is_a_key(key: str, tmp_path: Path) -> None:
    text, value = TRAINING[key]
    for config in the_configs(recipe(tmp_path, training=f"{key} = {text}")):
        assert getattr(config, key) == value


@pytest.mark.parametrize("key", SCORING)
def test_an_option_of_a_scoring_is_a_key(key: str, tmp_path: Path) -> None:
    text, value = SCORING[key]
    read = read_recipe(recipe(tmp_path, scoring=f"{key} = {text}"))
    assert getattr(score_options(read.scoring, tasks="tilt"), key) == value


def test_no_option_of_a_training_or_a_scoring_lacks_a_key() -> None:
    assert set(shared_options()) == {*TRAINING, "protocol"}
    assert set(options_of(TrainingConfig)) - set(shared_options()) == {"model", "data", "out", "seed", "start"}
    decided = {"tasks", "base", "out", "ranks", "budgets", "inference", "gain"}
    decided |= {"executor", "address", "jobs", "gpus", "cpus"}
    assert set(options_of(ScoreOptions)) - set(scoring_options()) == decided


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("training", "packing = 1", r"\[training\] packing: 1 is neither true nor false"),
        ("training", "learning_rate = 'fast'", r"\[training\] learning_rate: 'fast' is no number"),
        ("training", "max_steps = 2.5", r"\[training\] max_steps: 2.5 is no whole number"),
        ("training", "load_in = '3bit'", r"unknown load_in '3bit'. Did you mean '8bit' or '4bit'"),
        ("scoring", "no_merge = 'yes'", r"\[scoring\] cannot be used: argument --no-merge: 'yes' is neither true"),
        ("scoring", "engine = 'vllmm'", r"\[scoring\] cannot be used: argument --engine: unknown engine 'vllmm'"),
        ("methods", "[methods.dylora]\nper_row = 2", r"\[methods.dylora\] per_row: 2 is neither true nor false"),
        ("methods", "[methods.lora]\ngain = ['x']", r"\[methods.lora\] gain: 'x' is no number"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    section: str, line: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((RecipeError, UnknownNameError), match=message):
        read_recipe(recipe(tmp_path, **{section: line}))


def test_the_fields_of_a_method_from_outside_are_axes_of_its_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS._entries, "fading", "methods_from_outside:Fading")
    grid = "[methods.fading]\ndecay = [0.25, 1]\nshape = 'flat'\nfading_packing = 3\nlearning_rate = [1e-3, 1e-2]\n"
    configs = the_configs(recipe(tmp_path, training="packing = true", methods=grid))
    assert [(config.method, config.learning_rate, config.packing) for config in configs] == [
        (Fading(max_rank=4, seed=1, decay=decay, shape="flat", packing=3), rate, True)
        for decay in (0.25, 1.0)
        for rate in (1e-3, 1e-2)
    ]
    names = [config.out.parent.name for config in configs[:2]]
    assert names == [f"decay-0.25-shape-flat-fading_packing-3-{rate}" for rate in ("0.001", "0.01")]


def test_a_method_from_outside_checks_its_fields() -> None:
    with pytest.raises(OptionError, match="decay: 'fast' is no number"):
        Fading(max_rank=4, decay="fast")  # type: ignore[arg-type]
