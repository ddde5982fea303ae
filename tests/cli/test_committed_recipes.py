"""The recipes of `benchmarks/recipes`: what they plan, and what they take from the paper."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from aurac.workflows.bench import plan
from aurac.workflows.bench.counting import plan_lines
from aurac.workflows.bench.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "benchmarks/recipes"

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
# smaller-adapters: lora, two times five ranks that are squeezed, dylora, matryoshka, five ranks of the grid = 18
# trainings; eleven curves of one setting; the other seeds 18 * 2 = 36 and 11 * 2 = 22.
# -questions: 5 methods * 3 rates = 15 trainings; 10 curves * 3 = 30; the other seeds: lora and matryoshka (three curves
# each) up to 3 settings, the normalized one 2, each DyLoRA 1, so 10 * 2 = 20; 10 curves * 3 seeds = 30.
BY_HAND = {
    "smaller-adapters": [(18, 11, 36, 22)],
    "smollm2-135m-questions": [(15, 30, 20, 30)],
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
