from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aurac.analysis.sources import as_curve
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, RecordError, UnknownNameError
from aurac.results import Run

LONG = pd.DataFrame([(1, "a", 0.0), (2, "a", 1.0), (2, "b", 1.0), (1, "b", 0.5)], columns=["rank", "doc_hash", "score"])


@pytest.mark.parametrize(
    "source",
    [
        {1: 0.25, 2: 0.5},
        {"2": 0.5, "1": 0.25},
        RankAccuracyCurve([1, 2], [0.25, 0.5]),
        pd.DataFrame({"rank": [2, 1], "accuracy": [0.5, 0.25]}),
    ],
)
def test_a_curve_comes_from_whatever_there_is(source: Any) -> None:
    curve = as_curve(source)
    assert (curve.ranks, curve.accuracies.tolist()) == ((1, 2), [0.25, 0.5])


def test_ranks_and_accuracies_may_be_arrays() -> None:
    assert as_curve(np.array([2, 1]), np.array([50, 25]), scale="percent").accuracies.tolist() == [0.25, 0.5]
    with pytest.raises(CurveError, match=r"cannot read a curve from list. Give a curve, ranks and accuracies"):
        as_curve([1, 2])


def test_a_curve_holds_fractions_already() -> None:
    with pytest.raises(CurveError, match=r"scale='percent' is about bare accuracies; a curve and a run record hold"):
        as_curve(RankAccuracyCurve([1, 2], [0.25, 0.5]), scale="percent")


def test_no_ranks_are_no_curve() -> None:
    for nothing in ({}, pd.Series(dtype=float)):
        with pytest.raises(CurveError, match=r"there are no ranks\. Give at least one, with its accuracy"):
            as_curve(nothing)


def test_a_long_frame_keeps_its_documents() -> None:
    curve = as_curve(LONG.assign(task="arc", prompt_hash="p", doc_id=[1, 1, 2, 2]))
    assert curve.documents == ("arc/a/p", "arc/b/p")
    assert curve.scores is not None
    assert curve.scores.tolist() == [[0.0, 1.0], [0.5, 1.0]]
    assert curve.task == "arc"
    assert as_curve(LONG.rename(columns={"doc_hash": "document"})).documents == ("a", "b")


def test_a_frame_with_several_tasks_or_metrics_needs_one() -> None:
    frame = pd.DataFrame({"task": ["x", "y"], "rank": [1, 1], "accuracy": [0.25, 0.5]})
    assert as_curve(frame, task="y").accuracies.tolist() == [0.5]
    with pytest.raises(CurveError, match=r"the DataFrame has 2 tasks. Choose one: x, y"):
        as_curve(frame)
    metrics = frame.rename(columns={"task": "metric"})
    assert as_curve(metrics, metric="x").accuracies.tolist() == [0.25]
    assert as_curve(metrics, metric="x").metric == "x"
    with pytest.raises(CurveError, match=r"the DataFrame has 2 metrics. Choose one: x, y; say metric='x'\."):
        as_curve(metrics)


def test_metrics_of_a_frame_are_named_with_their_filters_as_in_a_record() -> None:
    frame = pd.DataFrame(
        {"metric": ["em", "em", "acc"], "filter": ["strict", "flexible", "none"], "rank": 1, "accuracy": [0, 0.25, 0.5]}
    )
    assert as_curve(frame, metric="acc").accuracies.tolist() == [0.5]
    assert as_curve(frame, metric="em:flexible").accuracies.tolist() == [0.25]
    with pytest.raises(CurveError, match=r"the DataFrame has no metric 'em'. Choose one: em:strict, em:flexible, acc;"):
        as_curve(frame, metric="em")


def test_a_curve_is_not_called_by_another_task_or_metric_than_its_own() -> None:
    curve = RankAccuracyCurve([1], [0.25], task="arc", metric="acc")
    assert as_curve(curve, task="arc", metric="acc") is curve
    with pytest.raises(CurveError, match=r"the curve is of metric 'acc', not 'f1'\. Leave metric= out, or give that"):
        as_curve(curve, metric="f1")


def test_a_metric_of_a_record_is_chosen_by_name() -> None:
    record = Path(__file__).parents[2] / "results/testbed/lora"
    assert as_curve(record, task="facts", metric="acc_norm").metric == "acc_norm"
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acc_nrm' of task 'facts'\. Did you mean 'acc_norm'"):
        as_curve(record, task="facts", metric="acc_nrm")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"r": [1], "acc": [0.5]}), "the DataFrame has the columns r, acc. Needed: rank and accuracy"),
        (LONG.drop(columns="doc_hash"), "scores but no doc_hash or doc_id"),
        (pd.concat([LONG, LONG.iloc[:1]]), "document 'a' has two scores at rank 1"),
        (LONG.iloc[:3], r"document 'b' has no score at rank 1 \(1 such cells\)"),
        (LONG.assign(score=[0.0, float("nan"), 1.0, 1.0]), "row 1 of the DataFrame, column score: nan is no number"),
    ],
)
def test_a_bad_frame_is_said_to_be_so(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        as_curve(frame)


def test_a_run_with_several_tasks_needs_one() -> None:
    curves = {"arc": RankAccuracyCurve([1], [0.25]), "mmlu": RankAccuracyCurve([1], [0.5])}
    run = Run("lora", None, {}, curves)
    assert as_curve(run, task="mmlu").accuracies.tolist() == [0.5]
    with pytest.raises(CurveError, match=r"run 'lora' has 2 tasks. Choose one: arc, mmlu"):
        as_curve(run)
    with pytest.raises(UnknownNameError, match=r"unknown task 'mlu' in run 'lora'. Did you mean 'mmlu'"):
        as_curve(run, task="mlu")


def test_paths_lead_to_files_or_records(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("rank,accuracy\n1,0.25\n")
    assert as_curve(tmp_path / "c.csv").accuracies.tolist() == [0.25]
    assert as_curve(str(tmp_path / "c.csv")).name == "c"
    with pytest.raises(RecordError, match=r"there is no .*none. Give a .csv or .json curve"):
        as_curve(tmp_path / "none")
    with pytest.raises(RecordError, match="holds no run record"):
        as_curve(tmp_path)


def test_lm_eval_output_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "results_2026-01-01.json").write_text("{}")
    with pytest.raises(
        RecordError, match=r"holds lm-eval output .*Make a run record of it with `aurac import .* --out DIR`"
    ):
        as_curve(tmp_path)


def test_a_series_indexed_by_rank_is_a_mapping_of_rank_to_accuracy() -> None:
    series = pd.Series([0.41, 0.44, 0.48], index=[1, 2, 8])
    curve = as_curve(series)
    assert (curve.ranks, curve.accuracies.tolist()) == ((1, 2, 8), [0.41, 0.44, 0.48])
    assert as_curve(series * 100, scale="percent").accuracies.tolist() == pytest.approx([0.41, 0.44, 0.48])
    with pytest.raises(CurveError, match="accuracy at rank 1 is 41, above 1"):
        as_curve(series * 100)


def test_a_series_beside_accuracies_holds_the_ranks() -> None:
    assert as_curve(pd.Series([1, 2]), pd.Series([0.25, 0.5])).accuracies.tolist() == [0.25, 0.5]


def test_a_series_with_a_rank_twice_needs_a_decision() -> None:
    twice = pd.Series([0.25, 0.75, 0.5], index=[1, 1, 2])
    with pytest.raises(CurveError, match="rank 1 occurs 2 times"):
        as_curve(twice)
    assert as_curve(twice, duplicates="mean").accuracies.tolist() == [0.5, 0.5]
