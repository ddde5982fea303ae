"""`compare`: what is compared, what is refused, and what the tables say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from aurac.analysis.compared import MACRO
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.quadrature import weights
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.results import Run
from aurac.statistics.multiplicity import holm
from golden_files import assert_golden
from runs_by_hand import RANKS, curve

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
    assert difference.losses == 30  # documents on which its values are lower
    assert comparison.wins_ties_losses("low", "wiki") == (30, 0, 0)
    assert "| 30/0/0 |" in comparison.to_markdown()


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


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_documents_that_are_all_right_or_all_wrong_make_tables_without_nan(
    level: float, n: int, make_run: Make
) -> None:
    def flat(name: str) -> Run:
        documents = [f"d{i}" for i in range(n)]
        return make_run(
            name, RankAccuracyCurve.from_scores((1, 2), np.full((n, 2), level), task="arc", documents=documents)
        )

    comparison = compare([flat("a"), flat("b"), flat("c")])
    for output in FORMATS:
        assert "nan" not in comparison.render(output).lower()
    if n == 1:
        assert "arc: one common document has no spread, so there is no error and no test." in comparison.notes
    else:
        assert comparison.to_markdown().count("1-3 tied") == 3


def flat(task: str, n: int = 64) -> RankAccuracyCurve:
    documents = [f"{task}/{i}" for i in range(n)]
    return RankAccuracyCurve.from_scores(RANKS, np.zeros((n, len(RANKS))), task=task, documents=documents, metric="acc")


def test_a_task_on_which_nothing_varies_is_named_and_is_not_exact(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", seed), flat("cipher")) for seed, name in ((1, "lora"), (3, "dylora"))]
    made = compare(runs)
    assert "± 0.00" not in made.render()
    assert "0.00 ± ?" in made.render()
    assert made.notes == (
        # 1 - 0.05 ** (1 / 64)
        "± ? on cipher (lora, dylora, dylora minus lora): nothing varies there, so the error is unknown, not zero. 64 "
        "documents leave up to 4.57 points open (level 0.05). The ± of the mean over tasks lacks this part; its "
        "interval allows for it.",
    )
    macro, arc = made.results["dylora", MACRO], made.results["dylora", "arc"]
    assert macro.difference is not None
    assert arc.difference is not None
    assert macro.stderr == pytest.approx((arc.stderr or 0) / 2)
    assert macro.difference.interval.method == "score"
    nothing = compare([make_run(name, flat("arc"), flat("cipher")) for name in ("lora", "dylora")]).results[
        "dylora", MACRO
    ]
    assert nothing.difference is not None
    # None of 128 documents differs, each with half the weight of its task: 1.96^2 / (128 + 1.96^2).
    assert nothing.difference.interval.high == pytest.approx(1 - 128 / (128 + stats.norm.ppf(0.975) ** 2), rel=1e-6)


@pytest.mark.parametrize("target", ["docs", "seeds"])
def test_an_error_of_zero_is_never_printed_as_one(make_run: Make, target: str) -> None:
    made = compare({"lora": [make_run("a", flat("arc")), make_run("b", flat("arc"))]}, target=target)
    assert "0.00 ± ?" in made.render()
    assert "± ? on arc (lora): nothing varies there" in made.notes[0]
    assert ("4.57 points" in made.notes[0]) == (target == "docs")


def test_one_rank_is_compared_as_the_accuracy_that_it_is(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", seed).select_ranks([8])) for name, seed in (("a", 1), ("b", 3))]
    assert compare(runs).results["a", "arc"].value == runs[0].curve("arc").accuracy_at(8)


def test_runs_of_the_same_name_are_told_apart_by_the_end_of_their_path(make_run: Make) -> None:
    paths = [Path("x/lora/run"), Path("x/dylora/run"), Path("y/m/aurac-run")]
    runs = [replace(make_run("run", curve("arc", i)), path=path) for i, path in enumerate(paths)]
    assert [run.name for run in compare(runs).runs] == ["lora/run", "dylora/run", "y/m"]


def test_many_tasks_get_a_table_of_their_own_and_everything_fits_120_columns(make_run: Make) -> None:
    tasks = ("arc_challenge", "hellaswag", "mmlu", "winogrande", "gsm8k")
    runs = [
        make_run(name, *(curve(task, 10 * i + k, shift=s, metric="acc_norm") for k, task in enumerate(tasks)))
        for i, (name, s) in enumerate((("lora", 0.0), ("dylora", 0.02), ("matryoshka-trained", 0.2)))
    ]
    text = compare(runs).render("terminal")
    assert max(len(line) for line in text.splitlines() if not line.startswith("AURAC|")) <= 120
    assert_golden("five-tasks.terminal.txt", text)


def test_the_methods_paragraph_says_what_was_done_and_cites_it(runs: list[Run]) -> None:
    assert_golden("methods.txt", compare(runs, baseline="lora").prose())
    two = compare(runs[:2], tasks=["arc"]).prose()
    assert "Two runs make one test at level 0.05, which needs no adjustment." in two
    assert "Holm" not in two
    assert "no errors are given" in compare([Run("x", None, {}, {"t": RankAccuracyCurve((1, 2), (0, 1))})]).prose()


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
    assert content["signatures"]["arc"].endswith("|target:docs|test:score|adj:holm|rs:12345")
    assert len(content["pairs"]) == 3 * 3  # three pairs on two tasks and on their mean


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


@pytest.mark.parametrize("output", FORMATS)
def test_a_comparison_looks_like_its_golden_file(output: str, runs: list[Run]) -> None:
    assert_golden(f"comparison.{output}.txt", compare(runs, baseline="lora").render(output))


def test_a_single_run_gets_one_table_with_its_tasks_as_rows(runs: list[Run]) -> None:
    assert_golden("single.terminal.txt", compare(runs[:1]).render("terminal"))


def test_runs_and_comparisons_are_one_line_in_python_and_tables_in_a_notebook(runs: list[Run]) -> None:
    found = compare(runs)
    assert repr(runs[0]) == f"Run({runs[0].name!r}, tasks={runs[0].tasks}, ranks={runs[0].ranks})"
    assert repr(found) == (
        f"Comparison(runs={tuple(run.name for run in runs)}, tasks={found.tasks}, baseline={runs[0].name!r})"
    )
    assert found._repr_html_() == found.render("html")
