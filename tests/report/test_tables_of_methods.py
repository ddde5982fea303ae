"""`compare(by="method")`: what its tables, its paragraph and its plots say of training seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import aurac
from aurac.analysis.compared import MACRO
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.report.plots.kinds import KINDS, PlotOptions, draw
from aurac.results import Run
from golden_files import assert_golden
from seeds_by_hand import SEEDS, TASKS, trained, two_methods


@pytest.fixture
def runs() -> list[Run]:
    return two_methods()


def test_the_tables_say_how_seeds_were_joined(runs: list[Run]) -> None:
    shuffled = compare([runs[k] for k in (2, 0, 1, 3, 4, 5)], by="method").to_markdown()
    assert "seeds paired," in shuffled
    assert "Means over the training seeds 42, 666, 2408, the same for each method." in shuffled
    grid = [trained("grid", seed, sha256_of_rank={"1": "x"}) for seed in SEEDS]
    assert "seeds independent," in compare([*runs[:3], *grid], by="method").to_markdown()


def test_every_training_seed_is_printed_with_its_own_score(runs: list[Run]) -> None:
    comparison = compare(runs, by="method", baseline="lora")
    alone = {run.name: [aurac.compute(run, task=task).value for task in TASKS] for run in runs}
    found = {(each["run"], each["task"]): each["values"] for each in json.loads(comparison.to_json())["seeds"]}
    for run in runs:
        method, seed = run.name.split("-")
        values = [found[method, task][seed] for task in (*TASKS, MACRO)]
        assert values == pytest.approx([*alone[run.name], np.mean(alone[run.name])], rel=1e-9)  # 12 digits in JSON
        printed = " | ".join(f"{100 * value:.1f}" for value in values)
        assert f"| {method} | {seed} | {printed} |" in comparison.to_markdown()
    for method in ("lora", "dylora"):
        mean = np.mean(list(found[method, MACRO].values()))
        assert mean == pytest.approx(comparison.results[method, MACRO].value, rel=1e-9)


def test_single_runs_and_seeds_that_cannot_be_joined_have_no_table_of_seeds(runs: list[Run]) -> None:
    assert json.loads(compare(runs).to_json())["seeds"] == []
    assert "each training seed" not in compare(runs).to_markdown()
    assert "AURAC of each training seed" in compare(runs[:3], by="method").to_markdown()


@pytest.mark.parametrize("output", FORMATS)
def test_a_comparison_of_methods_looks_like_its_golden_file(runs: list[Run], output: str) -> None:
    assert_golden(f"seeds.{output}.txt", compare(runs, by="method", baseline="lora").render(output))


def test_the_methods_paragraph_says_how_seeds_were_treated(runs: list[Run]) -> None:
    assert_golden("seeds-prose.txt", compare(runs, by="method", baseline="lora").prose())


def test_the_signature_counts_the_seeds(runs: list[Run]) -> None:
    content = json.loads(compare(runs, by="method").to_json())
    assert "|seeds:3|" in content["signatures"]["arc"]
    assert content["signatures"]["arc"].endswith("|| ci:wilson95|target:docs+seeds|test:t|pairing:paired|adj:holm")


def test_a_method_is_drawn_with_a_thin_line_for_each_seed(runs: list[Run]) -> None:
    method = compare(runs, by="method").runs[0]
    ax = aurac.plot_curves(method, task="arc")
    assert sorted(line.get_linewidth() for line in ax.lines) == [0.5, 0.5, 0.5, 1.2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_plot_takes_methods(runs: list[Run], kind: str, tmp_path: Path) -> None:
    draw(kind, runs, PlotOptions(by="method")).savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
