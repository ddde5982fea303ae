"""`aurac bench`: recipes, the plan, whole runs of two steps, resuming, and what fails."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aurac import testbed
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RecipeError, UnknownNameError
from aurac.report.comparison import compare
from aurac.results import Run, load
from aurac.workflows.bench import plan
from aurac.workflows.bench.choice import choose, macro
from aurac.workflows.bench.counting import plan_lines
from aurac.workflows.bench.jobs import jobs_of
from aurac.workflows.bench.method_specs import Setting
from aurac.workflows.bench.outcome import Outcome
from aurac.workflows.bench.recipe import read_recipe

Call = Callable[..., Any]
RECIPES = Path(__file__).parents[2] / "benchmarks/recipes"

SMALL = f"""
models = ["{testbed.MODEL}"]
ranks = [2]
seeds = [1, 2]

[training]
max_steps = 2
batch_size = 4
gradient_accumulation = 1

[scoring]
include_path = "{testbed.TASKS}"
limit = 4
batch_size = 16

[suites]
small = "tilt,cipher"

[data.mixture]
source = "{testbed.TRAIN}"

[methods.lora]
scaling = "one"
learning_rate = [1e-4, 5e-2]

[methods.svd-lora]

[methods.matryoshka]
learning_rate = 1e-2
inference = ["prefix", "trained"]

[methods.grid-lora]
learning_rate = 5e-2
"""
SMALLER = """
[methods.svd-energy]
method = "svd-lora"
allocate = "energy"

[methods.squeeze-lora]
max_steps = 1
learning_rate = [1e-2, 2e-2]

[methods.gradual]
method = "squeeze-lora"
gradual = true
max_steps = 1
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL)
    return path


def changed(recipe: Path, old: str, new: str) -> Path:
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    return recipe


# By hand. testbed: 4 settings; lora, dylora, matryoshka one training each, grid-lora six ranks: 4 * 9 = 36 trainings;
# six curves of 4 settings = 24 scorings. The other four seeds: lora (also for svd-lora) and matryoshka (two rules) may
# choose two settings each, dylora one, the grid six trainings: (2 + 1 + 2 + 6) * 4 = 44; 6 curves * 4 = 24 scorings.
# one-gpu: 3 methods * 3 rates = 9; 5 curves * 3 = 15; (2 + 1 + 2) * 1 = 5; 5 * 1 = 5.
# llama: 69 settings; 3 * 69 + 5 * 6 ranks = 237 at rank 32, 3 * 69 + 5 * 9 = 252 at rank 256; scorings
# 5 curves * 69 + 5 = 350; further (2 + 1 + 2 + 6) * 2 = 22 and (2 + 1 + 2 + 9) * 2 = 28 trainings; scorings
# 6 curves * (3 seeds * 2 suites - 1) = 30 for gsm8k, 6 * (3 * 1 - 1) = 12 for platypus.
_LLAMA = [(237, 350, 22, 30), (252, 350, 28, 30), (237, 350, 22, 12), (252, 350, 28, 12)]
# -people: 3 methods * 3 rates = 9 trainings; 9 curves * 3 = 27; the other seeds: lora (2 rules and svd-lora) and
# matryoshka (4 rules) up to 3 settings, dylora 2, so 8 * 2 = 16; 9 curves * 3 seeds * 2 suites = 54, none the choice's.
# -authors: 12 settings of MatryoshkaLoRA and 4 of LoRA = 16 trainings; 2 rules * 12, and 4 of LoRA and of SVD-LoRA = 32
# scorings; one seed and no other suite, so nothing further.
# smaller-adapters: lora, squeeze-lora of five ranks, dylora, matryoshka, five ranks of the grid = 13 trainings; ten
# curves of one setting; the other seeds 13 * 2 = 26 and 10 * 2 = 20.
BY_HAND = {
    "smaller-adapters": [(13, 10, 26, 20)],
    # 3 methods * 4 rates, and (4 ranks + a plain LoRA) * 2 rates of the grid = 22 trainings; 9 curves *
    # 4 and the grid's 2 = 38; the other seeds: LoRA up to 3 settings, MatryoshkaLoRA 4, DyLoRA 2, and 5 ranks of the
    # grid, so 14 * 2 = 28; 10 curves * 3 seeds = 30.
    "smollm2-135m": [(22, 38, 28, 30)],
    "smollm2-135m-people": [(9, 27, 16, 54)],
    "smollm2-135m-authors": [(16, 32, 0, 0)],
    "testbed": [(36, 24, 44, 24)],
    "one-gpu": [(9, 15, 5, 5)],
    # The same methods and rates for each of two models; four other seeds: (2 + 1 + 2) * 4 = 20; 5 curves * 4 = 20.
    "full-study": [(9, 15, 20, 20)] * 2,
    "llama-3.2-1b": _LLAMA,
    "llama-3.1-8b": _LLAMA,
}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_committed_recipe_is_read_and_its_plan_has_the_numbers_worked_out_by_hand(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path)
    lines = plan_lines(recipe, plan.studies(recipe, tmp_path / "out"))
    numbers = [tuple(map(int, re.findall(r"(\d+) (?:further )?(?:trainings|scorings)", " ".join(lines[i : i + 3]))))
               for i in range(0, len(lines), 3)]  # fmt: skip
    assert numbers == BY_HAND[path.stem]
    assert not (tmp_path / "out").exists()


def test_the_published_recipes_have_the_published_protocol() -> None:
    for name in ("llama-3.2-1b", "llama-3.1-8b"):
        recipe = read_recipe(RECIPES / f"{name}.toml")
        study = plan.studies(recipe, Path("x"))[1]
        (config,) = plan.grid(recipe, study)[0].adapter.trainings
        assert (config.batch_size * config.gradient_accumulation, config.epochs) == (32, 3)
        assert (recipe.seeds, study.rank) == ((42, 666, 2408), 256)
        assert (config.init, config.adapter_dtype, config.dtype) == ("authors", "base", "bfloat16")
        assert (config.prompt_style, config.max_length, config.warmup_ratio) == ("authors", 512, 0.0)
        dylora = next(s for s in plan.grid(recipe, study) if s.curve == "dylora").adapter.trainings[0]
        assert dylora.method.per_pass
        matryoshka = next(s for s in plan.grid(recipe, study) if s.curve == "matryoshka-prefix").adapter.trainings[0]
        assert matryoshka.method.train_ranks == (1, 2, 4, 8, 16, 32, 64, 128, 256)
        assert len(matryoshka.target_modules) == 7
        rates = tomllib.loads((RECIPES / f"{name}.toml").read_text())["methods"]["lora"]["learning_rate"]
        assert (len(rates), min(rates), max(rates)) == (23, 5e-6, 1e-3)


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


SELECTING = f"""
models = ["someone/tiny"]
ranks = [2]
seeds = [1, 2]

[training]
max_steps = 2
batch_size = 4
gradient_accumulation = 1

[scoring]
include_path = "{testbed.TASKS}"
limit = 4
batch_size = 16

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
