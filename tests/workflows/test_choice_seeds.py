"""How many seeds decide between the settings of a method: counted before, averaged in the choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RecordError
from aurac.report.numbers import MISSING
from aurac.results import Run
from aurac.workflows.bench import choice
from aurac.workflows.bench.counting import plan_lines
from aurac.workflows.bench.outcome import Outcome
from aurac.workflows.bench.plan import chosen, grid, studies
from aurac.workflows.bench.recipe import Recipe, read_recipe
from aurac.workflows.bench.running import RECIPE_FILE, check_folder

RECIPE = """
models = ["base"]
ranks = [2]
seeds = [7, 8, 9]
{choice}

[suites]
main = "tilt"

[data.facts]
source = "facts.jsonl"

[methods.lora]
learning_rate = [1e-3, 1e-2, 1e-1]
"""


def recipe(tmp_path: Path, choice_seeds: int | None) -> Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(RECIPE.format(choice="" if choice_seeds is None else f"choice_seeds = {choice_seeds}"))
    return read_recipe(file)


def choose(monkeypatch: pytest.MonkeyPatch, scores: Mapping[tuple[str, int], float | None]) -> dict[str, Any]:
    """Choose between settings of which every seed has one score at both ranks; None: not scored."""
    monkeypatch.setattr(
        choice, "load", lambda out: Run("run", None, {}, {"tilt": RankAccuracyCurve((1, 2), (out, out), task="tilt")})
    )
    grid = [
        SimpleNamespace(curve="lora", setting=setting, seed=seed, suite="main", out=score, is_done=lambda s=score: s)
        for (setting, seed), score in scores.items()
    ]
    return choice.choose(grid)  # type: ignore[arg-type]


def test_several_seeds_choose_by_their_mean_and_no_setting_at_which_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {("low", 7): 0.6, ("high", 7): 0.9, ("highest", 7): 0.95}
    assert choose(monkeypatch, scores)["curves"]["lora"]["chosen"] == "highest"
    made = choose(monkeypatch, scores | {("low", 8): 0.8, ("high", 8): 0.2, ("highest", 8): None})
    assert made["seeds"] == [7, 8]
    assert "seed" not in made
    found = made["curves"]["lora"]
    assert found["chosen"] == "low"
    assert found["candidates"]["low"] == {
        "macro": pytest.approx(0.7),
        "tasks": {"tilt": pytest.approx(0.7)},
        "macro_by_seed": {"7": pytest.approx(0.6), "8": pytest.approx(0.8)},
    }
    assert found["candidates"]["high"]["macro"] == pytest.approx(0.55)
    assert found["candidates"]["highest"] is None


def test_the_table_says_which_seeds_decided_on_which_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    made = choose(monkeypatch, {("low", 7): 0.6, ("low", 8): 0.8, ("high", 7): 0.9, ("high", 8): None})
    row = {"suite": "main", "curve": "lora", "setting": "low", "seeds": [7], "aurac": {"macro": [0.6]}, "regret": None}
    main, every = Outcome([row], "study", made).tables()
    assert main.notes[0].endswith("chosen with seeds 7, 8 on these documents, which makes those scores optimistic.")
    assert every.title == "Every setting, seeds 7, 8, main"
    assert [cell.text for cell in every.rows[1]] == ["lora", "high", MISSING, ""]


@pytest.mark.parametrize(("several", "first", "further"), [(None, 3, 2), (2, 6, 1), (3, 9, 0)])
def test_the_plan_has_the_grid_of_every_seed_that_decides(
    several: int | None, first: int, further: int, tmp_path: Path
) -> None:
    """Three settings of each seed that decides; the chosen one of the others."""
    asked = recipe(tmp_path, several)
    (study,) = studies(asked, tmp_path / "out")
    seeds = [scoring.seed for scoring in grid(asked, study)]
    assert seeds == sorted(seeds)
    assert len(grid(asked, study)) == first
    assert len(chosen(asked, study, {"lora": "0.01"})) == 3
    _, of_grid, of_chosen = plan_lines(asked, [study])
    assert f"{first} trainings (0 done), {first} scorings (0 done)" in of_grid
    assert f"at most {further} further trainings, {further} further scorings" in of_chosen


def test_a_folder_keeps_the_seeds_that_chose_for_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / RECIPE_FILE).write_text(json.dumps(recipe(tmp_path, None).fixed()))
    check_folder(out, recipe(tmp_path, 1))
    with pytest.raises(RecordError, match=r"seeds of the choice is None there and \[7, 8\] here"):
        check_folder(out, recipe(tmp_path, 2))
