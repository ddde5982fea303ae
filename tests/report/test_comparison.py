"""`compare`: what is compared, what is refused, and what the tables say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from aurac.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.quadrature import weights
from aurac.report.comparison import MACRO, OUTPUTS, compare
from aurac.results import Run
from aurac.statistics.multiplicity import holm
from golden_files import assert_golden
from runs_by_hand import curve

Make = Callable[..., Run]


@pytest.fixture
def runs(make_run: Make) -> list[Run]:
    return [
        make_run("lora", curve("arc", 1), curve("hella", 2)),
        make_run("dylora", curve("arc", 3, shift=0.1), curve("hella", 4, shift=0.1), method="dylora"),
        make_run("matryoshka", curve("arc", 5, shift=0.3), curve("hella", 6, shift=0.2), method="matryoshka"),
    ]


def per_document(run: Run, task: str) -> Any:
    return run.curve(task).scores @ weights((1, 2, 4, 8))


def test_the_difference_is_the_paired_t_of_scipy_on_per_document_scores(runs: list[Run]) -> None:
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
    runs = [make_run("lora", curve("arc", 1, n=400)), make_run("dylora", curve("arc", 3, n=400, shift=0.02))]
    assert compare(runs, seed=1).to_json() == compare(runs, seed=1).to_json()
    first, second = (compare(runs, seed=s).results["dylora", "arc"].difference for s in (1, 2))
    assert first is not None
    assert second is not None
    assert first.p_value != second.p_value


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
    assert "| low | **1.4" in comparison.to_markdown()


def test_tasks_of_different_units_have_no_macro_score(make_run: Make) -> None:
    loss = RankAccuracyCurve.from_scores(
        (1, 2, 4, 8), np.ones((3, 4)) * 2, documents=["a", "b", "c"], task="wiki", bounded=False, higher_is_better=False
    )
    comparison = compare([make_run("a", curve("arc", 1), loss)])
    assert comparison.headline == "arc"
    assert "no mean over tasks: their metrics have different units or directions." in comparison.notes


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
    with pytest.raises(UnknownNameError, match=r"unknown task in run 'lora' 'ark'. Did you mean 'arc'"):
        compare(runs, tasks=["ark"])
    with pytest.raises(UnknownNameError, match=r"unknown output format 'markdwn'. Did you mean 'markdown'"):
        compare(runs).render("markdwn")


def test_the_baseline_may_be_named_by_its_method(runs: list[Run]) -> None:
    renamed = [replace(run, name=f"runs/{run.name}-1") for run in runs]
    assert compare(renamed, baseline="dylora").baseline == "runs/dylora-1"


def test_a_run_given_twice_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"run 'lora' was given twice"):
        compare([runs[0], runs[0]])


def test_a_spreadsheet_takes_no_name_for_a_formula(make_run: Make) -> None:
    text = compare([make_run("=1+1", curve("arc", 1))]).to_csv()
    assert next(csv.DictReader(io.StringIO(text)))["run"] == "'=1+1"


def test_json_holds_fractions_signatures_and_no_nan(runs: list[Run]) -> None:
    content = json.loads(compare(runs).to_json())
    assert content["rows"][0]["run"] == "matryoshka"
    assert all(0 <= row["aurac"] <= 1 for row in content["rows"])
    assert content["signatures"]["arc"].startswith(
        "AURAC|axis:log2|rule:trap|ranks:1-2-4-8|metric:acc|task:arc@1.0|shots:5|n:40"
    )


def test_the_frame_has_one_row_for_each_run_and_task(runs: list[Run]) -> None:
    frame = compare(runs).to_frame()
    assert len(frame) == 9
    assert frame.loc[(frame.run == "lora") & (frame.task == "arc"), "rank_8"].item() == runs[0].curve(
        "arc"
    ).accuracy_at(8)


def test_an_adapter_of_another_maker_is_said_to_be_one(make_run: Make) -> None:
    text = compare([make_run("theirs", curve("arc", 1), sidecar=False)]).to_markdown()
    assert "theirs: no sidecar, so it was scored as prefixes of a plain LoRA" in text
    assert "gain 2" in text


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_comparison_looks_like_its_golden_file(output: str, runs: list[Run]) -> None:
    assert_golden(f"comparison.{output}.txt", compare(runs, baseline="lora").render(output))


def test_a_single_run_gets_one_table_with_its_tasks_as_rows(runs: list[Run]) -> None:
    assert_golden("single.terminal.txt", compare(runs[:1]).render("terminal"))
