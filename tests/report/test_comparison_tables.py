"""`compare`: what its tables, its paragraph and its files say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aurac.analysis.compared import MACRO
from aurac.curve.curve import RankAccuracyCurve
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.results import Run
from golden_files import assert_golden
from runs_by_hand import RANKS, curve

Make = Callable[..., Run]


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
