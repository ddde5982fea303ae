"""`compare`: its numbers, and the places that follow from its tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from aurac.analysis.compared import MACRO
from aurac.curve.curve import RankAccuracyCurve
from aurac.quadrature import weights
from aurac.report.comparison import compare
from aurac.results import Run
from aurac.statistics.multiplicity import holm
from runs_by_hand import curve

Make = Callable[..., Run]


def per_document(run: Run, task: str) -> Any:
    return run.curve(task).scores @ weights((1, 2, 4, 8))


@pytest.fixture
def many(make_run: Make) -> list[Run]:
    """Runs of which 10 documents and more differ in each direction, so that intervals are t intervals."""
    return [
        make_run("lora", curve("arc", 1, n=600)),
        make_run("dylora", curve("arc", 3, n=600, shift=0.04), method="dylora"),
        make_run("matryoshka", curve("arc", 5, n=600, shift=0.08), method="matryoshka"),
    ]


def test_the_difference_is_the_paired_t_of_scipy_on_per_document_scores(many: list[Run]) -> None:
    runs = many
    result = compare(runs, baseline="lora").results["dylora", "arc"].difference
    assert result is not None
    reference = stats.ttest_rel(per_document(runs[1], "arc"), per_document(runs[0], "arc"))
    interval = reference.confidence_interval(0.95)
    assert result.value == pytest.approx(compare(runs).results["dylora", "arc"].value - runs[0].curve("arc").area())
    np.testing.assert_allclose([result.interval.low, result.interval.high], [interval.low, interval.high], rtol=1e-10)


def test_the_macro_score_is_the_mean_over_tasks_with_independent_documents(runs: list[Run]) -> None:
    comparison = compare(runs)
    parts = [comparison.results["dylora", task] for task in ("arc", "hella")]
    macro = comparison.results["dylora", MACRO]
    assert macro.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert macro.stderr == pytest.approx(np.hypot(parts[0].stderr or 0, parts[1].stderr or 0) / 2)
    differences = [part.difference for part in parts]
    assert macro.difference is not None
    assert macro.difference.value == pytest.approx(np.mean([d.value for d in differences if d]))
    assert macro.difference.stderr == pytest.approx(np.sqrt(sum(d.stderr**2 for d in differences if d)) / 2)


def test_p_values_are_adjusted_over_the_runs_compared_on_a_task(runs: list[Run]) -> None:
    comparison = compare(runs)
    family = [comparison.results[name, "arc"] for name in ("dylora", "matryoshka")]
    assert [r.p_holm for r in family] == holm([r.difference.p_value for r in family if r.difference])


def test_the_same_seed_gives_the_same_table_and_another_seed_another_p(make_run: Make) -> None:
    runs = [make_run("lora", curve("arc", 1, n=400)), make_run("dylora", curve("arc", 6, n=400, shift=0.02))]
    assert compare(runs, seed=1).to_json() == compare(runs, seed=1).to_json()
    first, second = (compare(runs, seed=s).results["dylora", "arc"].difference for s in (1, 2))
    assert first is not None
    assert second is not None
    assert first.p_value != second.p_value


def test_places_are_those_of_the_holm_adjusted_tests_of_all_pairs(many: list[Run]) -> None:
    comparison, runs = compare(many), many
    p = [  # lora-dylora, lora-matryoshka, dylora-matryoshka
        stats.permutation_test(
            (per_document(a, "arc") - per_document(b, "arc"),), np.mean, permutation_type="samples",
            n_resamples=9999, rng=np.random.default_rng(0),
        ).pvalue
        for a, b in ((runs[0], runs[1]), (runs[0], runs[2]), (runs[1], runs[2]))
    ]  # fmt: skip
    adjusted = comparison.pairs["arc"].p_adjusted
    found = [adjusted["dylora", "lora"], adjusted["matryoshka", "lora"], adjusted["dylora", "matryoshka"]]
    np.testing.assert_allclose(found, holm(p), rtol=1e-3, atol=2e-3)  # both drew 9999 flips
    tiers = comparison.tiers("arc")
    assert tiers is not None
    assert [tiers.label(name) for name in tiers.order] == ["1", "2", "3"]


def test_runs_that_the_tests_cannot_tell_apart_are_tied_and_all_bold(make_run: Make) -> None:
    runs = [
        make_run(name, curve("arc", seed, shift=s)) for name, seed, s in (("a", 1, 0), ("b", 3, 0.06), ("c", 5, -0.3))
    ]
    text = compare(runs).to_markdown()
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if "tied" in line or "| c" in line[:4]}
    assert "1-2 tied" in rows["| a (b)"]
    assert "1-2 tied" in rows["| b (a)"]
    assert rows["| a (b)"].count("**") == rows["| b (a)"].count("**") == 2
    assert "<sup>c</sup>" in rows["| a (b)"]
    assert "**" not in rows["| c (c)"]


def test_the_minimal_effect_is_2_8_standard_errors_of_the_difference(many: list[Run]) -> None:
    row = next(row for row in compare(many).records() if row["run"] == "dylora" and row["task"] == "arc")
    factor = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert row["detectable"] == pytest.approx(factor * row["difference_stderr"], rel=1e-5)  # the other tail is rare


def test_the_minimal_effect_of_the_score_test_is_that_of_the_score_test(runs: list[Run]) -> None:
    # Of 40 documents 16 are won and 1 is lost: what the test cannot exclude counts for its power too.
    row = next(row for row in compare(runs).records() if row["run"] == "dylora" and row["task"] == "arc")
    assert row["detectable"] > 3.5 * row["difference_stderr"]


def test_the_level_of_places_belongs_to_the_intervals(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3, shift=0.06))]
    p = compare(runs).results["b", "arc"].p_holm
    assert p is not None
    assert 0.001 < p < 0.5
    strict, loose = (compare(runs, confidence_level=1 - alpha).tiers("arc") for alpha in (p * 0.9, p * 1.1))
    assert strict is not None
    assert loose is not None
    assert (strict.label("b"), loose.label("b")) == ("1-2 tied", "1")


def test_runs_are_ordered_from_best_to_worst_and_ties_are_all_bold(make_run: Make) -> None:
    same = curve("arc", 1)
    comparison = compare([make_run("b", same), make_run("worse", curve("arc", 1, shift=-0.3)), make_run("a", same)])
    assert [run.name for run in comparison.ordered()] == ["b", "a", "worse"]
    text = comparison.to_markdown()
    assert [line.count("**") for line in text.splitlines() if line.startswith(("| b ", "| a ", "| worse "))][:3] == [
        2,
        2,
        0,
    ]


def test_identical_runs_differ_by_nothing(make_run: Make) -> None:
    same = curve("arc", 1)
    result = compare([make_run("a", same), make_run("b", same)]).results["b", "arc"]
    assert result.difference is not None
    assert (result.difference.value, result.difference.p_value, result.p_holm) == (0.0, 1.0, 1.0)


def test_losses_rank_the_lowest_first_and_are_printed_as_they_are(make_run: Make) -> None:
    def bits(seed: int, level: float) -> RankAccuracyCurve:
        values = level + np.random.default_rng(seed).random((30, 4))
        return RankAccuracyCurve.from_scores(
            (1, 2, 4, 8), values, documents=[f"d{i}" for i in range(30)], task="wiki", metric="bits_per_byte",
            higher_is_better=False, bounded=False,
        )  # fmt: skip

    comparison = compare([make_run("high", bits(1, 3.0)), make_run("low", bits(2, 1.0))])
    assert [run.name for run in comparison.ordered()] == ["low", "high"]
    assert r"wiki (bits\_per\_byte ↓)" in comparison.to_markdown()
    assert "| low (a) | 1 | **1.4" in comparison.to_markdown()
    difference = comparison.results["low", "wiki"].difference
    assert difference is not None
    assert difference.lower == 30
    assert comparison.wins_ties_losses("low", "wiki") == (30, 0, 0)
    assert "| 30/0/0 |" in comparison.to_markdown()


def test_one_rank_is_compared_as_the_accuracy_that_it_is(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", seed).select_ranks([8])) for name, seed in (("a", 1), ("b", 3))]
    assert compare(runs).results["a", "arc"].value == runs[0].curve("arc").accuracy_at(8)
