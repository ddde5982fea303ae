"""`compare(by="method")`: which runs are the training seeds of one method, and what is refused as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aurac.analysis.grouping import by_method
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError, UnknownNameError
from aurac.report.comparison import compare
from aurac.results import Run
from runs_by_hand import RANKS
from seeds_by_hand import SEEDS, scores, trained, two_methods


@pytest.fixture
def runs() -> list[Run]:
    return two_methods()


def test_runs_that_differ_in_their_seed_alone_are_one_method(runs: list[Run]) -> None:
    assert {name: [run.name for run in group] for name, group in by_method(runs).items()} == {
        "lora": ["lora-42", "lora-666", "lora-2408"],
        "dylora": ["dylora-42", "dylora-666", "dylora-2408"],
    }


def test_settings_that_differ_make_methods_of_their_own_and_name_them() -> None:
    runs = [trained("matryoshka", s, inference=i) for i in ("prefix", "trained") for s in (1, 2)]
    assert list(by_method(runs)) == ["matryoshka-prefix", "matryoshka-trained"]
    runs = [trained("lora", s, gain=g) for g in (1.0, 2.0) for s in (1, 2)]
    assert list(by_method(runs)) == ["lora-gain=1.0", "lora-gain=2.0"]
    runs = [trained("svd-lora", s, allocate=a) for a in (None, "energy") for s in (1, 2)]
    runs += [trained("svd-lora", s, allocate="energy", calibration="7b0ea7df" * 8) for s in (1, 2)]
    assert list(by_method(runs))[1:] == ["svd-lora-energy", "svd-lora-energy-calibration=7b0ea7df"]
    runs = [trained("squeeze-lora", s, **way) for way in ({}, {"training_gradual": 1}) for s in (1, 2)]
    assert list(by_method(runs)) == ["squeeze-lora", "squeeze-lora-gradual"]
    runs = [trained("lora", 1, inference="trained"), trained("lora", 2, init="trained", per_row=True)]
    assert list(by_method(runs)) == ["lora-trained", "lora-init=trained-per_row=True"]


def test_runs_on_other_base_models_or_dtypes_are_no_seeds_of_one_method() -> None:
    runs = [trained("lora", seed) for seed in (1, 2)]
    for run, base, dtype in zip(runs, ("a" * 64, "b" * 64), ("float32", "bfloat16"), strict=True):
        run.record["identity"].update(base={"name_or_path": "x", "sha256": base}, dtype=dtype)
    assert list(by_method(runs)) == ["lora-base=aaaaaaaaaaaa-dtype=float32", "lora-base=bbbbbbbbbbbb-dtype=bfloat16"]


def test_a_retrained_grid_needs_the_same_ranks_in_all_tasks_for_its_mean() -> None:
    grid = [trained("grid", seed, sha256_of_rank={"1": "x"}) for seed in SEEDS]
    grid = [replace(r, curves={"arc": r.curve("arc").select_ranks([1, 8]), "hella": r.curve("hella")}) for r in grid]
    with pytest.raises(CurveError, match="the tasks were scored at different ranks"):
        compare(grid, by="method")


def test_without_document_keys_seeds_are_not_joined_by_position() -> None:
    curves = [RankAccuracyCurve.from_scores(RANKS, np.full((n, 4), 0.5), task="arc") for n in (40, 38)]
    pooled = RankAccuracyCurve.from_seeds(curves, ["1", "2"])
    assert (pooled.seeds, pooled.scores) == (None, None)


def test_a_method_whose_seeds_cannot_be_joined_keeps_its_mean(runs: list[Run]) -> None:
    accuracies = RankAccuracyCurve(
        RANKS, [0.1, 0.2, 0.3, 0.4], task="arc", metric="acc", num_fewshot=5, task_version="1.0"
    )
    groups = {"a": runs[:2], "b": [replace(run, curves={"arc": accuracies}) for run in runs[3:5]]}
    comparison = compare(groups, tasks=["arc"])
    assert comparison.results["b", "arc"].stderr is None
    assert comparison.results["a", "arc"].stderr is not None
    assert "no paired difference" in comparison.to_markdown()


def test_seeds_at_other_ranks_are_no_curve(runs: list[Run]) -> None:
    other = replace(runs[1], curves={"arc": runs[1].curve("arc").select_ranks([1, 8])})
    with pytest.raises(ComparisonError, match="are not comparable on arc: ranks is"):
        compare({"a": [runs[0], other]})


def test_nothing_to_compare_is_an_error() -> None:
    for nothing in ({}, [], {"a": []}):
        with pytest.raises(ComparisonError, match="there is nothing to compare"):
            compare(nothing)


def test_one_run_instead_of_a_list_is_named(runs: list[Run]) -> None:
    for one in ("runs/a", {"method": "runs/a"}):
        with pytest.raises(ComparisonError, match=r"runs/a is one run, not a list of them\. Give a list of runs"):
            compare(one)
    with pytest.raises(ComparisonError, match=f"{runs[0].name} is one run, not a list of them"):
        compare(runs[0])  # type: ignore[arg-type]


def test_a_mapping_says_which_runs_are_a_method(runs: list[Run]) -> None:
    named = compare({"A": runs[:3], "B": runs[3:]})
    assert [run.name for run in named.runs] == ["A", "B"]
    assert named.results["B", "arc"].stderr == compare(runs, by="method").results["dylora", "arc"].stderr


def test_one_training_of_a_method_is_refused_with_the_ways_out(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"dylora: one training seed, .* at least 2 .* \(--target docs\)"):
        compare(runs[:4], by="method")
    assert compare(runs[:4], by="method", target="docs").results["dylora", "arc"].stderr is not None


def test_single_runs_have_no_error_over_seeds(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"target 'seeds' is about methods, and these are single runs"):
        compare(runs, target="seeds")


def test_two_trainings_with_the_same_seed_are_no_two_seeds() -> None:
    twice = [trained("lora", 42), replace(trained("lora", 42), name="again")]
    with pytest.raises(ComparisonError, match=r"'lora-42' and 'again' are the same method .* seed \(42\)"):
        compare(twice, by="method")


def test_an_unknown_row_or_target_is_named(runs: list[Run]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown row of a comparison 'methods'\. Did you mean 'method'"):
        compare(runs, by="methods")
    with pytest.raises(UnknownNameError, match="unknown target 'doc'"):
        compare(runs, by="method", target="doc")


def test_seeds_stay_with_the_documents_and_ranks_that_are_selected(runs: list[Run]) -> None:
    pooled = RankAccuracyCurve.from_seeds([run.curve("arc") for run in runs[:3]], ["1", "2", "3"])
    part = pooled.select_documents(["arc/d3", "arc/d1"]).select_ranks([2, 8])
    assert part.seeds is not None
    np.testing.assert_array_equal(part.seeds.values, scores(runs[:3], "arc")[[3, 1]][:, :, [1, 3]])


def test_seeds_that_do_not_fit_together_are_refused(runs: list[Run]) -> None:
    a, b = runs[0].curve("arc"), runs[1].curve("arc")
    with pytest.raises(CurveError, match="the curves of the seeds differ in ranks or documents"):
        RankAccuracyCurve.from_seeds([a, b.select_ranks([1, 2])], ["1", "2"])
    with pytest.raises(CurveError, match=r"the labels of the seeds, 1, 1, are not distinct"):
        RankAccuracyCurve.from_seeds([a, b], ["1", "1"])
    with pytest.raises(UnknownNameError, match="unknown unit of seeds 'epoch'"):
        RankAccuracyCurve.from_seeds([a, b], ["1", "2"], unit="epoch")
    seeds = RankAccuracyCurve.from_seeds([a, b], ["1", "2"]).seeds
    with pytest.raises(CurveError, match="scores are not the means over the seeds"):
        RankAccuracyCurve(RANKS, scores=a.scores, seeds=seeds)
