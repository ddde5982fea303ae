"""`aurac bench --calibrate` and `aurac bench status DIR`: what a benchmark takes, and how far it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aurac import testbed
from aurac.cli import main
from aurac.workflows.bench import plan, state
from aurac.workflows.bench.jobs import jobs_of
from aurac.workflows.bench.recipe import read_recipe

RECIPE = f"""
models = ["{testbed.MODEL}"]
ranks = [2]
seeds = [1, 2]
training = {{max_steps = 2, batch_size = 4, gradient_accumulation = 1}}
scoring = {{include_path = "{testbed.TASKS}", limit = 4, no_base = true}}
suites.small = "tilt"
data.mixture.source = "{testbed.TRAIN}"
methods.grid-lora.learning_rate = 1e-3
methods.lora.learning_rate = [1e-3, 1e-2]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first training and scoring were done; the recipe's file is gone."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    recipe = out.parent / "recipe.toml"
    recipe.write_text(RECIPE)
    assert main(["bench", str(recipe), "--out", str(out), "--calibrate"]) == 0
    recipe.unlink()
    return out


def test_calibration_does_one_training_and_one_scoring_and_says_what_the_rest_takes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(list(folder.glob("*/*/seed-*/training.json"))) == 1
    assert len(list(folder.glob("*/*/seed-*/aurac-run/run.json"))) == 1
    assert main(["bench", "status", str(folder)]) == 0
    said = capsys.readouterr().out
    # By hand: 2 trainings of lora and 2 ranks of the grid, 1 of them done; 3 scorings, 1 done; then the other seed.
    assert "grid with seed 1: 4 trainings (1 done), 3 scorings (1 done)" in said
    assert re.search(r"left, at most, one at a time: 6 trainings: about \d+ min; 4 scorings: about \d+ min\n", said)
    assert re.search(r"done so far: 1 trainings, 1 scorings, about \d+ min one at a time", said)


def test_hours_on_gpus_are_counted_by_the_gpus_of_a_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for gpus, said in (("1", "1 GPU each"), ("0.25", "0.25 GPUs each"), ("2", "2 GPUs each")):
        assert main(["bench", "status", str(folder), "--gpus", gpus]) == 0
        assert re.search(rf"; [\d.e-]+ GPU-hours with {said}\n", capsys.readouterr().out)


def test_a_status_says_what_another_process_is_doing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = read_recipe(folder / "recipe.toml")
    jobs = jobs_of(plan.grid(recipe, plan.studies(recipe, folder)[0]))
    running, failed = (job for job in jobs[:2])
    with pytest.raises(ValueError, match="no room"), state.running(folder, failed):
        raise ValueError("no room")
    with state.running(folder, running):
        assert main(["bench", "status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"running: {running.label} trained, for 0 min on " in said
    assert f"failed: {failed.label} trained: ValueError: no room" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status"], "error: give the folder to look at: aurac bench status DIR. See aurac bench --help."),
        (["recipe.toml", "out"], "error: give a recipe and a folder for it: aurac bench recipe.toml --out out. See"),
        (["recipe.toml"], "error: give a recipe and a folder for it: aurac bench recipe.toml --out DIR. See"),
    ],
)
def test_what_is_missing_on_the_command_line_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_folder_that_is_no_benchmark_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "status", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path} has no recipe.toml, which aurac bench writes when it begins. Give the")
    assert said.count("\n") == 1
