"""`recommend`: which rank, on what evidence, and what a record cannot show."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import aurac
from aurac.analysis import adapter_size
from aurac.analysis.adequacy import smallest_rank
from aurac.analysis.compared import MACRO
from aurac.analysis.recommended import EVERY_TASK
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, UnknownNameError
from aurac.report.formats import FORMATS
from aurac.report.recommendation import recommend
from aurac.results import Run
from golden_files import assert_golden
from runs_by_hand import RANKS, curve, profile_of

Make = Callable[..., Run]


def flat_above(rank: int, task: str) -> Any:
    """420 of 600 documents are right; ranks from `rank` win 6 and lose 6 of them, smaller ones lose 140."""
    full = np.repeat([1.0, 0.0], [420, 180])
    good, bad = full.copy(), full.copy()
    good[:6], good[-6:], bad[:140] = 0, 1, 0
    columns = [full if r == RANKS[-1] else good if r >= rank else bad for r in RANKS]
    documents = [f"{task}/{i}" for i in range(600)]
    return RankAccuracyCurve.from_scores(RANKS, np.column_stack(columns), task=task, documents=documents, metric="acc")


@pytest.fixture
def run(make_run: Make) -> Run:
    return make_run("matryoshka", flat_above(2, "arc"), flat_above(4, "hella"))


def test_the_rank_of_each_task_is_the_smallest_adequate_one(run: Run) -> None:
    made = recommend(run, margin=0.03)
    assert {task: test.rank for task, test in made.tests.items()} == {"arc": 2, "hella": 4, MACRO: 4}
    assert made.tests["arc"] == smallest_rank(run.curve("arc"), margin=0.03)


def test_with_several_tasks_the_headline_is_their_mean_and_every_task_is_said_too(run: Run) -> None:
    made = recommend(run, margin=0.03)
    assert (made.basis, made.rank, made.every_task) == (MACRO, 4, 4)
    wide = recommend(run, margin=0.12)  # rank 2 loses 140 of 600 on one of two tasks: 11.7 points on their mean
    assert (wide.tests[MACRO].rank, wide.every_task) == (4, 4)
    assert recommend(run, margin=0.15).tests[MACRO].rank == 2
    assert recommend(run, margin=0.15).every_task == 4


def test_one_task_is_its_own_headline(run: Run) -> None:
    made = recommend(run, margin=0.03, tasks=["arc"])
    assert (made.basis, made.rank) == ("arc", 2)
    assert EVERY_TASK not in made.render("markdown")


@pytest.mark.parametrize("output", FORMATS)
def test_a_recommendation_looks_like_its_golden_file(output: str, run: Run) -> None:
    made = recommend(run, margin=0.03, parameters=8000, n_bytes=32000, profile=profile_of(8000, ranks=(1, 4, 8)))
    assert_golden(f"recommendation.{output}.txt", made.render(output))


def test_tables_fit_120_columns(run: Run) -> None:
    profile = profile_of(1_234_567_890, memory=123_456_789_012)
    text = recommend(run, margin=0.03, parameters=1_234_567_890, profile=profile).render("terminal")
    assert "123 GB" in text
    assert max(map(len, text.splitlines())) <= 120


def test_without_a_profile_the_costs_are_the_sizes(run: Run) -> None:
    text = recommend(run, margin=0.03, parameters=8000, n_bytes=16000).render("markdown")
    assert "| rank | parameters | stored |\n" in text
    assert "| **4** | 4,000 | 8.00 kB |" in text
    assert "cost of each rank" not in recommend(run, margin=0.03).render("markdown")


def test_sizes_are_shares_of_the_adapter_not_of_what_was_measured(make_run: Make) -> None:
    run = make_run("a", flat_above(2, "arc"))
    run.record["identity"]["adapter"]["max_rank"] = 16
    made = recommend(run, margin=0.03, parameters=160)
    assert [row["share"] for row in made.records()] == [0.5, 0.25, 0.125, 0.0625]
    assert [row["parameters"] for row in made.records()] == [80, 40, 20, 10]
    assert "The reference is rank 8, the largest that was measured, not 16." in made.render("markdown")


def test_what_cannot_be_certified_is_said_with_what_the_documents_could_have_shown(make_run: Make) -> None:
    text = recommend(make_run("a", curve("arc", 1)), margin=0.01).render("markdown")
    assert "No rank below 8 is certified to lose less than 1.00 points on arc: serve full rank." in text
    assert "Rank 4 could not be certified" in text
    assert "On these 40 documents a rank that loses nothing is certified with 80 % power for a margin of" in text


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_documents_that_are_all_right_or_all_wrong_certify_by_their_number(level: float, make_run: Make) -> None:
    # No document of n deviates: z = -sqrt(n * .01 / .99), p = .012 for 500 and .16 for 100.
    def flat(n: int) -> Run:
        return make_run("a", RankAccuracyCurve.from_scores(RANKS, np.full((n, 4), level), task="arc"))

    assert recommend(flat(500), margin=0.01).rank == 1
    few = recommend(flat(100), margin=0.01)
    assert few.rank == 8
    assert few.tests["arc"].evidence[1].p_value == pytest.approx(0.157439, rel=1e-5)  # 6 digits
    for output in FORMATS:
        assert "nan" not in few.render(output).lower()


def test_one_measured_rank_leaves_nothing_to_recommend(make_run: Make) -> None:
    made = recommend(make_run("a", curve("arc", 1).select_ranks([8])))
    assert made.rank == 8
    assert "Only rank 8 was measured on arc, so there is no smaller rank to recommend." in made.render("markdown")


def test_a_task_that_cannot_be_tested_is_named_with_the_reason(make_run: Make) -> None:
    bare = RankAccuracyCurve(RANKS, (0.1, 0.2, 0.3, 0.4), task="f1")
    made = recommend(make_run("a", flat_above(2, "arc"), bare), margin=0.03)
    assert list(made.tests) == ["arc"]
    assert "f1 was not tested: this curve has no per-document scores" in made.render("markdown")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RankAccuracyCurve(RANKS, (0.1, 0.2, 0.3, 0.4), task="arc"), r"no rank of run 'a' .* no per-document scores"),
        (curve("arc", 1, n=1), r"one document has no spread"),
    ],
)
def test_a_run_that_can_show_nothing_is_an_error(source: Any, message: str, make_run: Make) -> None:
    with pytest.raises(CurveError, match=message):
        recommend(make_run("a", source))


def test_a_run_whose_cells_failed_says_which(make_run: Make) -> None:
    broken = replace(make_run("a"), problems={"arc": "task 'arc' failed at rank 4: NaN"})
    with pytest.raises(CurveError, match=r"no rank of run 'a' can be recommended. arc: task 'arc' failed at rank 4"):
        recommend(broken)


def test_margin_format_and_task_are_checked(run: Run) -> None:
    with pytest.raises(CurveError, match=r"margin -0.01 is not positive"):
        recommend(run, margin=-0.01)
    with pytest.raises(UnknownNameError, match=r"unknown output format 'latx'. Did you mean 'latex'"):
        recommend(run).render("latx")
    with pytest.raises(UnknownNameError, match=r"unknown task 'ark' in run 'matryoshka'. Did you mean 'arc'"):
        recommend(run, tasks=["ark"])


def test_tasks_of_different_units_are_recommended_by_every_task(make_run: Make) -> None:
    values = 2 + np.random.default_rng(0).random((50, 1)) + 0.001 * np.random.default_rng(1).random((50, 4))
    loss = RankAccuracyCurve.from_scores(RANKS, values, task="wiki", bounded=False, higher_is_better=False)
    made = recommend(make_run("a", flat_above(2, "arc"), loss), margin=0.03)
    assert (made.basis, made.tests["wiki"].rank, made.rank) == (EVERY_TASK, 1, 2)
    assert "no mean over tasks: the tasks have metrics of different units or directions" in made.render("markdown")


def test_csv_and_json_hold_the_same_fractions(run: Run) -> None:
    made = recommend(run, margin=0.03)
    rows = list(csv.DictReader(io.StringIO(made.render("csv"))))
    content = json.loads(made.render("json"))
    assert float(rows[1]["loss"]) == content["tasks"]["arc"]["evidence"][1]["loss"]
    assert content["rank"] == 4


def test_parameters_are_counted_only_in_the_weights_that_were_scored(make_run: Make, tmp_path: Path) -> None:
    file = tmp_path / adapter_size.WEIGHTS
    matrices = {"q.lora_A.weight": np.zeros((8, 5), "f4"), "q.lora_B.weight": np.zeros((3, 8), "f4")}
    save_file({**matrices, "head.weight": np.zeros((7, 7), "f4")}, file)
    run = make_run("a", curve("arc", 1))
    assert adapter_size.parameters(run) is None
    run.record["identity"]["adapter"] |= {"path": str(tmp_path), "sha256": "other"}
    assert adapter_size.parameters(run) is None
    run.record["identity"]["adapter"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    assert adapter_size.parameters(run) == 8 * (5 + 3)
    assert adapter_size.size(run) == adapter_size.Size(parameters=64, bytes=64 * 4)
    moved = replace(run, path=tmp_path / "aurac-run")
    run.record["identity"]["adapter"]["path"] = "elsewhere"
    assert adapter_size.parameters(moved) == 64


def test_a_recommendation_is_one_line_in_python_and_tables_in_a_notebook(run: Run) -> None:
    found = recommend(run, margin=0.01)
    assert repr(found) == f"Recommendation({run.name!r}, rank={found.rank}, margin=0.01, alpha=0.05)"
    assert found._repr_html_() == found.render("html")


def test_the_smallest_rank_of_a_run_of_several_tasks_is_that_of_their_mean(make_run: Make) -> None:
    run = make_run("a", curve("arc", 1), curve("hella", 2))
    assert aurac.smallest_rank(run, margin=0.03) == aurac.recommend(run, margin=0.03).tests[MACRO]
    assert aurac.smallest_rank(run, task="arc") == smallest_rank(run.curve("arc"))


def test_a_run_that_lacks_a_task_has_no_smallest_rank_of_its_mean(make_run: Make) -> None:
    run = replace(make_run("a", curve("arc", 1), curve("hella", 2)), problems={"mmlu": "rank 4 failed"})
    with pytest.raises(CurveError, match=r"run 'a' has no curve on mmlu, so there is no mean .* task=: arc, hella"):
        smallest_rank(run)
    assert smallest_rank(run, task="arc").max_rank == 8


@pytest.mark.parametrize("margin", [1, 5, 100.0])
def test_a_margin_in_points_is_refused_where_fractions_are_meant(margin: float, make_run: Make) -> None:
    run = make_run("a", curve("arc", 1))
    for ask in (aurac.recommend, aurac.smallest_rank):
        with pytest.raises(
            CurveError,
            match=rf"margin {margin:g} is the whole range .* between 0 and 1, .*give for example margin=0.01",
        ):
            ask(run, margin=margin)


def test_a_margin_of_an_unbounded_metric_may_be_large(make_run: Make) -> None:
    rng = np.random.default_rng(0)
    scores = 50 + rng.normal(size=(40, 3))
    run = make_run("a", RankAccuracyCurve.from_scores([1, 2, 4], scores, task="t", bounded=False))
    assert aurac.smallest_rank(run, margin=5).rank == 1
