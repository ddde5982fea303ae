"""Another metric than the headline one, chosen by name where runs are compared, recommended from and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aurac
from aurac.cli import main
from aurac.errors import UnknownNameError

RECORDS = Path(__file__).parents[2] / "results"
RUNS = [RECORDS / "smollm2-135m" / f"{method}-seed-42" for method in ("lora-prefix", "matryoshka-projected")]
WORDS = "language_words:gold_nll"


def test_a_name_with_a_colon_is_the_curve_of_that_metric() -> None:
    run = aurac.load(RUNS[0])
    curve = run.curve(WORDS)
    assert (curve.metric, curve.higher_is_better) == ("gold_nll", False)
    assert np.array_equal(curve.accuracies, run.curve("language_words", metric="gold_nll").accuracies)
    assert run.with_metrics(["language_words", WORDS]).tasks == (*run.tasks, WORDS)
    assert run.with_metrics(["language_words"]) is run


def test_runs_are_compared_by_it_document_by_document() -> None:
    comparison = aurac.compare(RUNS, tasks=[WORDS])
    difference = comparison.results["matryoshka-projected-seed-42", WORDS].difference
    assert difference is not None
    curves = [aurac.load(run).curve(WORDS) for run in RUNS]
    expected = aurac.compute(curves[1]).value - aurac.compute(curves[0]).value
    assert difference.value == pytest.approx(expected)
    assert difference.value < 0  # nats: less is better


def test_a_rank_is_recommended_by_it() -> None:
    found = aurac.recommend(RUNS[1], margin=0.5, tasks=[WORDS])
    assert list(found.tests) == [WORDS]


def test_nats_of_several_tasks_have_no_mean_and_the_notes_say_so() -> None:
    comparison = aurac.compare(RUNS, tasks=[WORDS, "language_grammar:gold_nll"])
    assert "macro" not in {task for _, task in comparison.results}
    assert "no mean over tasks: only metrics from 0 to 1 of which more is better have one" in " ".join(comparison.notes)


@pytest.mark.parametrize("kind", ["curves", "difference", "intervals"])
def test_it_is_drawn(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "plot.svg"
    assert main(["plot", kind, *map(str, RUNS), "--tasks", WORDS, "--out", str(file)]) == 0
    assert "gold_nll" in file.read_text()


def test_a_metric_that_was_not_recorded_is_named_with_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown metric 'gold_nl' of task 'language_words'\. Did you mean"):
        aurac.compare(RUNS, tasks=["language_words:gold_nl"])
    with pytest.raises(UnknownNameError, match="unknown task 'language_wrds:gold_nll'"):
        aurac.compare(RUNS, tasks=["language_wrds:gold_nll"])
