"""The mean over tasks as a curve: its area is AURAC on the mean over tasks, its error that of tasks that are fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aurac.analysis.compare import compare
from aurac.analysis.compared import MACRO
from aurac.analysis.macro_curve import macro_curve, with_macro
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.part import Part
from aurac.curve.strata import Strata
from aurac.quadrature import weights
from aurac.report.pages.explorer import explorer_data
from aurac.results import Run
from aurac.statistics.bands import curve_band
from runs_by_hand import RANKS, curve

Make = Callable[..., Run]


@pytest.mark.parametrize("axis", ["log2", "linear"])
def test_its_area_is_aurac_on_the_mean_over_tasks_and_its_error_that_of_aurac(make_run: Make, axis: str) -> None:
    runs = [make_run(str(seed), curve("arc", seed, 40), curve("hella", seed + 9, 120)) for seed in range(2)]
    comparison = compare(runs, axis=axis)
    drawn, tasks = with_macro(comparison)
    assert tasks == (MACRO, "arc", "hella")
    for run in drawn:
        made, expected = run.curve(MACRO), comparison.results[run.name, MACRO]
        assert made.area(axis=axis) == pytest.approx(expected.value, rel=1e-9)
        assert made.scores is not None
        spread = (made.scores @ weights(RANKS, axis)).std(ddof=1) / len(made.scores) ** 0.5
        assert spread == pytest.approx(expected.stderr, rel=1 / 40)  # n - 1 of each task, or of all documents


def test_where_tasks_have_no_mean_or_other_ranks_there_is_no_such_curve(make_run: Make) -> None:
    losses = RankAccuracyCurve(RANKS, [3.0, 2.0, 2.0, 1.0], task="wiki", bounded=False, higher_is_better=False)
    few = curve("hella", 1).select_ranks([1, 8])
    for other in (losses, few):
        compared = compare([make_run("lora", curve("arc", 1), other)])
        assert with_macro(compared) == (compared.runs, compared.tasks)


def test_a_task_without_documents_or_that_is_a_mean_itself_leaves_the_interval_unknown() -> None:
    plain, scores = curve("arc", 1), np.array(curve("hella", 2).scores)
    strata = Strata(("a",) * 10 + ("b",) * 30, scores)
    group = RankAccuracyCurve.from_scores(RANKS, strata.linearised(), strata=strata, task="group")
    for other in (plain.without_documents(), group):
        made = macro_curve([plain, other])
        assert made.scores is None
        np.testing.assert_allclose(made.accuracies, (plain.accuracies + other.accuracies) / 2)


def test_seeds_passages_parts_and_the_base_model_stay_with_the_mean() -> None:
    seeds = [
        RankAccuracyCurve.from_seeds([curve(task, seed) for seed in range(3)], ["1", "2", "3"])
        for task in ("arc", "hella")
    ]
    made = macro_curve(seeds)
    assert made.seeds is not None
    each = [np.mean([c.seeds.values[:, s].mean(axis=0) for c in seeds if c.seeds], axis=0) for s in range(3)]
    np.testing.assert_allclose([made.seeds.values[:, s].mean(axis=0) for s in range(3)], each)

    passages = curve("arc", 1).clustered([str(i // 2) for i in range(40)])
    assert len(set(macro_curve([passages, curve("hella", 1)]).clusters or ())) == 20 + 40

    rng = np.random.default_rng(0)
    part = RankAccuracyCurve.from_scores([1, 2], rng.random((5, 2)), part=Part(50, 5), base=0.2)
    whole = RankAccuracyCurve.from_scores([1, 2], rng.random((9, 2)), base=0.4)
    made = macro_curve([part, whole])
    assert str(made.part) == "14 of 59 documents"
    assert made.base == pytest.approx(0.3)


def test_a_small_task_on_which_all_is_right_leaves_open_what_its_documents_do() -> None:
    small, large = (RankAccuracyCurve.from_scores([1], np.ones((n, 1))) for n in (10, 1000))
    band = curve_band(macro_curve([small, large]))
    c2 = band.critical**2
    assert band.high[0] == 1
    assert band.low[0] == pytest.approx(1 - c2 / (10 + c2) / 2)  # Wilson's end for ten documents, with half the weight


def test_the_page_has_the_mean_first_with_what_was_asked_of_all_tasks(make_run: Make, tmp_path: Path) -> None:
    runs = [make_run(name, curve("arc", seed, 40), curve("hella", seed, 60)) for seed, name in enumerate("ab")]
    data = explorer_data(compare([replace(run, path=tmp_path / run.name) for run in runs]))
    first, *others = data["tasks"]
    assert (first["name"], first["label"], first["tasks"]) == (MACRO, "macro (mean over 2 tasks)", 2)
    assert [task["name"] for task in others] == ["arc", "hella"]
    for line in data["curves"]:
        of = line["tasks"]
        assert of[MACRO]["documents"] == 100
        for mean, one, other in zip(*(of[task]["points"] for task in (MACRO, "arc", "hella")), strict=True):
            # Values are written with a few digits.
            assert mean["value"] == pytest.approx((one["value"] + other["value"]) / 2, rel=1e-4, abs=1e-3)
            assert mean["low"] < mean["value"] < mean["high"]
