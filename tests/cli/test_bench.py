"""`aurac bench`: the plan, whole runs of two steps, resuming, and what fails."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aurac import testbed
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RecipeError
from aurac.report.comparison import compare
from aurac.results import Run, load
from aurac.workflows.bench import plan
from aurac.workflows.bench.choice import choose, macro
from aurac.workflows.bench.jobs import jobs_of
from aurac.workflows.bench.outcome import Outcome
from aurac.workflows.bench.recipe import read_recipe
from small_recipes import SMALL, SMALLER, changed

Call = Callable[..., Any]


def test_a_method_may_have_several_rows_and_any_option_of_training_may_be_an_axis(recipe: Path, tmp_path: Path) -> None:
    changed(
        recipe,
        "[methods.svd-lora]",
        '[methods.lora-authors]\nmethod = "lora"\nprotocol = "authors"\nadapter_dtype = ["float32", "base"]\n'
        'learning_rate = 1e-3\n\n[methods.svd-authors]\nmethod = "svd-lora"\nfrom = "lora-authors"\n\n'
        "[methods.svd-lora]",
    )
    read = read_recipe(recipe)
    (study,) = plan.studies(read, tmp_path)
    scorings = [scoring for scoring in plan.grid(read, study) if scoring.curve.endswith("authors")]
    assert [(scoring.curve, scoring.setting) for scoring in scorings] == [
        (curve, f"protocol-authors-adapter_dtype-{dtype}-0.001")
        for curve in ("lora-authors", "svd-authors")
        for dtype in ("float32", "base")
    ]
    configs = [scoring.adapter.trainings[0] for scoring in scorings]
    assert [(config.init, config.adapter_dtype) for config in configs] == [
        ("authors", "float32"),
        ("authors", "base"),
    ] * 2
    assert {config.batch_size for config in configs} == {4}  # [training] comes before the protocol of a row
    assert scorings[2].adapter.rotate_from == scorings[0].adapter.folder


def test_squeezed_adapters_begin_with_the_one_that_they_are_made_from_or_with_the_next_larger(
    recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text() + SMALLER)
    read = read_recipe(recipe)
    (study,) = plan.studies(read, tmp_path)
    scorings = plan.grid(read, study)
    first, _, third, _ = (scoring for scoring in scorings if scoring.curve == "squeeze-lora")
    assert [s.setting for s in (first, third)] == ["one-0.0001-max_steps-1-0.01", "one-0.05-max_steps-1-0.01"]
    lora, *squeezed = third.adapter.trainings
    assert lora.out == tmp_path / "lora/one-0.05/seed-1"
    assert [(each.start, each.out, each.method.max_rank) for each in squeezed] == [
        (lora.out, third.adapter.folder / f"rank-{rank}", rank) for rank in (2, 1)
    ]
    assert {(each.learning_rate, each.max_steps) for each in squeezed} == {(1e-2, 1)}
    two, one = next(s for s in scorings if s.curve == "gradual").adapter.trainings[1:]
    assert (two.start, one.start) == (tmp_path / "lora/one-0.0001/seed-1", two.out)
    assert {two.learning_rate, one.learning_rate} == {1e-4}  # the LoRA's, where no other is given
    needs = {job.key: job.needs for job in jobs_of(scorings)}
    assert (needs[two.out], needs[one.out], needs[lora.out]) == ((two.start,), (two.out,), ())
    energy = next(s for s in scorings if s.curve == "svd-energy")
    assert (energy.ranks, energy.budgets, energy.adapter.rotation["allocate"]) == (None, (0.5, 1.0), "energy")


@pytest.mark.slow
def test_ways_to_a_smaller_adapter_are_compared_at_equal_size_with_what_they_cost(
    call: Call, recipe: Path, tmp_path: Path
) -> None:
    changed(recipe, "learning_rate = [1e-4, 5e-2]", "learning_rate = 5e-2")
    changed(recipe, "seeds = [1, 2]", "seeds = [1]")
    recipe.write_text(recipe.read_text() + SMALLER.replace("[1e-2, 2e-2]", "1e-2"))
    assert call("bench", recipe, "--out", tmp_path / "out").status == 0
    records = {folder.name.removesuffix("-seed-1"): folder for folder in (tmp_path / "out/records").iterdir()}
    tokens = {name: load(folder).record["training_tokens"] for name, folder in records.items()}
    trained = {path.parent: json.loads(path.read_text())["tokens"] for path in tmp_path.rglob("training.json")}
    own = {name: sum(n for path, n in trained.items() if f"/{name}/" in str(path)) for name in ("lora", "grid-lora")}
    assert tokens["svd-lora"] == tokens["svd-energy"] == tokens["lora"] == own["lora"]
    assert tokens["grid-lora"] == own["grid-lora"]
    for name in ("squeeze-lora", "gradual"):
        assert tokens[name] == own["lora"] + sum(n for path, n in trained.items() if f"/{name}/" in str(path))
    names = ("lora", "svd-energy", "squeeze-lora", "grid-lora")
    done = call("compare", *(records[name] for name in names), "--axis", "params", "--format", "csv")
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(done.out))}
    assert {rows[f"{name}-seed-1"]["training_tokens"] for name in names} == {str(tokens[name]) for name in names}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark that ran to its end."""
    from aurac.cli import main

    root = tmp_path_factory.mktemp("bench")
    (root / "recipe.toml").write_text(SMALL)
    assert main(["bench", str(root / "recipe.toml"), "--out", str(root / "out")]) == 0
    return root


CURVES = ("lora", "svd-lora", "matryoshka-prefix", "matryoshka-trained", "grid-lora")


def test_every_curve_has_a_record_for_every_seed_that_can_be_compared(finished: Path) -> None:
    records = finished / "out/records"
    names = {f"{curve}-seed-{seed}" for curve in CURVES for seed in (1, 2)}
    assert {folder.name for folder in records.iterdir()} == names
    runs = [load(records / name) for name in sorted(names)]
    assert all(run.tasks == ("tilt", "cipher") and run.ranks == (1, 2) for run in runs)
    identities = {run.name: run.record["identity"]["adapter"] for run in runs}
    for name, identity in identities.items():
        assert identity["seed"] == int(name[-1])
    assert {identities[f"{curve}-seed-1"]["inference"] for curve in CURVES[2:]} == {"prefix", "trained", "full"}
    comparison = compare([run for run in runs if run.name.endswith("1")], baseline="grid-lora")
    assert comparison.baseline == "grid-lora-seed-1"


def test_the_choice_is_the_best_of_the_grid_and_only_it_has_further_seeds(finished: Path) -> None:
    choice = json.loads((finished / "out/choice.json").read_text())
    for name, curve in choice["curves"].items():
        scores = {setting: numbers["macro"] for setting, numbers in curve["candidates"].items()}
        assert scores[curve["chosen"]] == max(scores.values())
        record = load(finished / f"out/records/{name}-seed-1")
        assert scores[curve["chosen"]] == pytest.approx(sum(c.area() for c in record.curves.values()) / 2)
    chosen = {choice["curves"][name]["chosen"] for name in ("lora", "svd-lora")}
    trained = {folder.parent.name for folder in (finished / "out/lora").glob("*/seed-2")}
    assert trained == chosen


def test_the_same_command_does_nothing_again_and_prints_the_same(call: Call, finished: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in (finished / "out").rglob("*.safetensors")}
    first = call("bench", finished / "recipe.toml", "--out", finished / "out", "--format", "json")
    second = call("bench", finished / "recipe.toml", "--out", finished / "out", "--format", "json")
    assert (first.status, first.out) == (0, second.out)
    assert "5 trainings (5 done), 7 scorings (7 done)" in first.err
    assert "[1/" not in first.err
    assert {path: path.stat().st_mtime_ns for path in files} == files
    rows = {row["curve"]: row for row in json.loads(first.out)["rows"]}
    assert list(rows) == list(CURVES)
    assert rows["grid-lora"]["regret"] == [0, 0]
    lora, grid = (rows[name]["aurac"]["macro"] for name in ("lora", "grid-lora"))
    assert rows["lora"]["regret"] == pytest.approx([g - c for g, c in zip(grid, lora, strict=True)])


def test_html_is_one_page(call: Call, finished: Path) -> None:
    page = call("bench", finished / "recipe.toml", "--out", finished / "out", "--format", "html").out
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")
    assert page.count("<html") == 1
    assert "grid-lora" in page


def test_a_grid_of_retrained_adapters_is_scored_by_aurac_score_too(call: Call, finished: Path, tmp_path: Path) -> None:
    folder = next((finished / "out/grid-lora").glob("*/seed-1"))
    options = ("--tasks", "tilt", "--include-path", testbed.TASKS, "--limit", "8", "--batch-size", "16")
    assert call("score", folder, *options, "--out", tmp_path / "run").status == 0
    assert load(tmp_path / "run").curves["tilt"].ranks == (1, 2)
    alone = call("score", folder / "rank-1", *options, "--out", tmp_path / "one")
    assert alone.status == 0
    assert load(tmp_path / "run").curves["tilt"].accuracies[0] == load(tmp_path / "one").curves["tilt"].accuracies[0]
    shutil.copytree(folder, tmp_path / "odd", ignore=lambda *_: ["aurac-run", "rank-1"])
    assert (
        "no adapter was trained at rank 1; trained: 2"
        in call("score", tmp_path / "odd", *options, "--ranks", "1").error
    )


def test_another_recipe_in_the_same_folder_is_refused(call: Call, finished: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(SMALL.replace("max_steps = 2", "max_steps = 3"))
    done = call("bench", recipe, "--out", finished / "out")
    assert "holds another benchmark: training.max_steps is 2 there and 3 here. Give a new folder" in done.error
    assert "holds something that is no benchmark" in call("bench", recipe, "--out", finished / "out/lora").error


def test_a_failed_training_is_reported_and_the_rest_goes_on(call: Call, recipe: Path, tmp_path: Path) -> None:
    changed(recipe, "seeds = [1, 2]", "seeds = [1]")
    broken = tmp_path / "out/lora/one-0.0001/seed-1"
    done = call("bench", recipe, "--out", tmp_path / "out", "--dry-run")
    assert (done.status, done.err) == (0, "")
    assert "grid with seed 1: 5 trainings (0 done), 7 scorings (0 done)" in done.out
    text = recipe.read_text()
    recipe.write_text(text[: text.index("[methods.matryoshka]")])
    call("bench", recipe, "--out", tmp_path / "out", "--dry-run")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/recipe.json").write_text(json.dumps(read_recipe(recipe).fixed()))
    broken.mkdir(parents=True)
    (broken / "in the way").touch()
    done = call("bench", recipe, "--out", tmp_path / "out")
    assert done.status == 1
    assert "failed: lora one-0.0001 seed 1 trained: RecordError: " in done.err
    assert "failed: svd-lora one-0.0001 seed 1 on small scored: its adapter was not made" in done.err
    choice = choose(plan.grid(read_recipe(recipe), plan.studies(read_recipe(recipe), tmp_path / "out")[0]))
    assert choice["curves"]["lora"]["candidates"]["one-0.0001"] is None
    assert {curve["chosen"] for curve in choice["curves"].values()} == {"one-0.05"}
    (broken / "in the way").unlink()
    assert call("bench", recipe, "--out", tmp_path / "out").status == 0


def test_a_metric_without_a_mean_cannot_decide() -> None:
    curve = RankAccuracyCurve([1, 2], [1.5, 1.2], metric="bits_per_byte", higher_is_better=False, bounded=False)
    run = Run("lora", None, {}, {"wikitext": curve})
    with pytest.raises(RecipeError, match=r"task wikitext is measured by bits_per_byte, and the choice of a setting"):
        macro(run)


@pytest.mark.slow
def test_two_processes_make_what_one_makes(call: Call, finished: Path, tmp_path: Path) -> None:
    done = call("bench", finished / "recipe.toml", "--out", tmp_path / "out", "--jobs", "2")
    assert done.status == 0
    for folder in (finished / "out/records").iterdir():
        ours = tmp_path / "out/records" / folder.name
        tables = [pq.read_table(each / "documents.parquet").replace_schema_metadata() for each in (ours, folder)]
        assert tables[0].equals(tables[1])  # what stands beside them names the folder of the adapter


def test_a_number_of_jobs_below_one_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    from aurac.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["bench", "recipe.toml", "--out", "out", "--jobs", "0"])
    assert stopped.value.code == 2
    assert "'0' is no number from 1" in capsys.readouterr().err


def test_a_recipe_without_retrained_adapters_has_no_regret() -> None:
    row = {"suite": "tiny", "curve": "lora", "setting": "", "seeds": [1], "aurac": {"macro": [0.5], "t": [0.5]}}
    without = Outcome([{**row, "regret": None}], "study").render("terminal")
    assert "regret" not in without.lower()
    grid = {**row, "curve": "grid-lora", "regret": [0.0]}
    assert "regret" in Outcome([{**row, "regret": [0.1]}, grid], "study").render("terminal")
