"""`compare`: what is refused, what is left out, and what may be allowed to differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.report.comparison import compare
from aurac.results import Run
from runs_by_hand import curve

Make = Callable[..., Run]


def test_tasks_of_different_units_have_no_macro_score(make_run: Make) -> None:
    loss = RankAccuracyCurve.from_scores(
        (1, 2, 4, 8), np.ones((3, 4)) * 2, documents=["a", "b", "c"], task="wiki", bounded=False, higher_is_better=False
    )
    comparison = compare([make_run("a", curve("arc", 1), loss)])
    assert comparison.headline == "arc"
    assert "no mean over tasks: only metrics from 0 to 1 of which more is better have one." in comparison.notes


def test_only_common_documents_count_and_the_table_says_how_many(make_run: Make) -> None:
    few = curve("arc", 1, n=40).select_documents([f"arc/d{i}" for i in range(10)])
    comparison = compare([make_run("all", curve("arc", 1)), make_run("few", few)])
    assert comparison.results["all", "arc"].score.n_documents == 10  # type: ignore[union-attr]
    assert "arc: 10 documents that all runs have; up to 30 left out." in comparison.to_markdown()


def test_runs_without_common_documents_are_refused(make_run: Make) -> None:
    with pytest.raises(ComparisonError, match=r"'a' and 'b' have no documents in common on arc: .* hashes differ"):
        compare([make_run("a", curve("arc", 1)), make_run("b", curve("arc", 1, documents="other"))])


def test_runs_without_common_tasks_are_refused(make_run: Make) -> None:
    with pytest.raises(ComparisonError, match=r"no task in common \(a: arc; b: hella\). Score them on the same tasks"):
        compare([make_run("a", curve("arc", 1)), make_run("b", curve("hella", 1))])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"num_fewshot": 0}, r"not comparable on arc: shots is 5 and 0"),
        ({"metric": "acc_norm"}, r"metric is acc and acc_norm"),
    ],
)
def test_scores_that_were_made_in_different_ways_are_refused(
    labels: dict[str, Any], message: str, make_run: Make
) -> None:
    with pytest.raises(ComparisonError, match=message):
        compare([make_run("a", curve("arc", 1)), make_run("b", curve("arc", 1, **labels))])


def test_keys_that_are_allowed_to_differ_are_named_in_the_table(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3, num_fewshot=0))]
    comparison = compare(runs, allow=["shots"])
    assert comparison.results["b", "arc"].difference is not None
    text = comparison.to_markdown()
    assert (
        "arc: not the same measurement. shots (examples in the prompt) is 5 for a, 0 for b; allowed to differ" in text
    )
    assert "|shots:5|" in text
    assert "|shots:0|" in text


def test_what_leaves_no_common_documents_is_shown_without_a_test(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3, num_fewshot=0, documents="other"))]
    comparison = compare(runs, allow=["shots"])
    assert comparison.pairs == {}
    assert "arc: what differs leaves no common documents and ranks" in comparison.to_markdown()


def test_other_ranks_may_be_allowed_and_leave_gaps(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3).select_ranks([1, 4, 8]))]
    with pytest.raises(
        ComparisonError, match=r"ranks is 1-2-4-8 and 1-4-8.*or allow ranks to differ \(--allow ranks\)"
    ):
        compare(runs)
    lines = compare(runs, allow=["ranks"]).to_markdown().splitlines()
    assert any(line.startswith("| b |") and " – " in line for line in lines)


def test_only_signature_keys_can_be_allowed_and_directions_never(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 1, metric="loss", higher_is_better=False))]
    with pytest.raises(UnknownNameError, match=r"unknown signature key 'shot'. Did you mean 'shots'"):
        compare(runs, allow=["shot"])
    with pytest.raises(ComparisonError, match=r"metrics of different units or directions on arc, acc and loss"):
        compare(runs, allow=["metric"])


def test_a_task_that_some_runs_lack_is_named_with_the_reason(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1), curve("hella", 2)), make_run("b", curve("arc", 3))]
    broken = replace(runs[1], problems={"hella": "task 'hella' failed at rank 4"})
    assert "hella is left out: it is not in b (task 'hella' failed at rank 4)." in compare([runs[0], broken]).notes


def test_curves_without_documents_are_shown_without_error_and_said_to_be(make_run: Make) -> None:
    bare = RankAccuracyCurve(
        (1, 2, 4, 8), (0.1, 0.2, 0.3, 0.4), task="arc", metric="acc", num_fewshot=5, task_version="1.0"
    )
    text = compare([make_run("a", curve("arc", 1)), make_run("b", bare)]).to_markdown()
    assert "arc: not every run has per-document scores, so there is no paired difference." in text
    assert "nan" not in text.lower()


def test_an_unknown_baseline_or_task_is_answered_with_the_near_ones(runs: list[Run]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown baseline 'dylor'. Did you mean 'dylora'"):
        compare(runs, baseline="dylor")
    with pytest.raises(UnknownNameError, match=r"unknown task 'ark' in run 'lora'. Did you mean 'arc'"):
        compare(runs, tasks=["ark"])
    with pytest.raises(UnknownNameError, match=r"unknown output format 'markdwn'. Did you mean 'markdown'"):
        compare(runs).render("markdwn")


def test_the_baseline_may_be_named_by_its_method(runs: list[Run]) -> None:
    renamed = [replace(run, name=f"runs/{run.name}-1") for run in runs]
    assert compare(renamed, baseline="dylora").baseline == "runs/dylora-1"


def test_a_run_given_twice_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"run 'lora' was given twice"):
        compare([runs[0], runs[0]])
