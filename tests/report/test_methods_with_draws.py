"""`compare` of runs scored under several draws of few-shot examples, which are random too."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.errors import ComparisonError
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.results import Run
from aurac.statistics.seeds import TARGETS, method_difference
from runs_by_hand import RANKS
from seeds_by_hand import W, drawn, two_methods


@pytest.fixture
def runs() -> list[Run]:
    return two_methods()


@pytest.mark.parametrize("target", TARGETS)
def test_the_paragraph_fits_the_target(runs: list[Run], target: str) -> None:
    text = compare([drawn(run) for run in runs], by="method", target=target).prose()
    assert "Each method was trained with 3 seeds, over which we average." in text
    assert "Few-shot examples were drawn 3 times (seeds 1, 2, 3), over which we average." in text
    assert ("two-sided t tests" in text) == (target not in ("docs", "benchmark"))
    assert ("Searle" in text) == (target.startswith("docs+"))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gives_tables_without_nan(runs: list[Run], target: str) -> None:
    text = compare([drawn(run) for run in runs], by="method", target=target).render("markdown")
    assert "nan" not in text
    assert f"Target: {target} (" in text


def test_draws_of_examples_are_random_by_default_where_all_runs_have_them(runs: list[Run]) -> None:
    several = [drawn(run) for run in runs]
    methods = compare(several, by="method", baseline="lora")
    assert methods.settings.target == "docs+seeds+prompts"
    single = compare(several[:2], baseline="lora-42")
    assert single.settings.target == "docs+prompts"
    text = single.to_markdown()
    assert "p: two-sided t test at Satterthwaite's df, paired on the same prompts, Holm" in text
    assert "(this adapter, new documents and newly drawn few-shot examples); seeds of the training are not" in text
    found = single.results["lora-666", "arc"].difference
    assert found is not None
    a, b = (run.curve("arc").prompts.values for run in several[:2])  # type: ignore[union-attr]
    expected = method_difference([b], [a], W, seeds="shared", target="docs+prompts", factor="prompts")
    assert (found.value, found.stderr) == pytest.approx((expected.value, expected.stderr), rel=1e-9)
    fixed = compare(several[:2], target="docs").to_markdown()
    assert "seeds of the training and draws of the few-shot examples are not part of it." in fixed


def test_a_target_with_draws_needs_runs_with_draws(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"scored with one draw.*\(--fewshot-seeds 1,2,3\).*\(--target docs\)"):
        compare(runs[:2], target="docs+prompts")
    with pytest.raises(ComparisonError, match=r"or ask about these examples \(--target docs\+seeds\)"):
        compare(runs, by="method", target="docs+seeds+prompts")


def test_two_draws_make_no_test_and_the_note_says_why(runs: list[Run]) -> None:
    comparison = compare([drawn(run, ("1", "2")) for run in runs[:2]])
    found = comparison.results["lora-666", "arc"].difference
    assert found is not None
    assert found.p_value is None
    assert "Two draws of few-shot examples make no test" in comparison.to_markdown()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_runs_with_draws_also_where_nothing_varies(runs: list[Run], name: str) -> None:
    same = [replace(run, curves={"arc": flat(run.name)}) for run in runs[:2]]
    for several in ([drawn(run) for run in runs[:3]], same):
        text = compare(several).render(name)
        assert "nan" not in text.lower().replace("nanmean", "")
        if name == "json":
            json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def flat(name: str) -> RankAccuracyCurve:
    ones = np.ones((12, 3, len(RANKS)))
    keys = [f"d{i}" for i in range(12)]
    prompts = SeedScores(ones, ("1", "2", "3"))
    return RankAccuracyCurve.from_scores(RANKS, ones[:, 0], documents=keys, prompts=prompts, task="arc", name=name)
