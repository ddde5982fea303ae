"""An adapter scored at budgets of parameters, through the library call."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

import aurac
from adapter_by_peft import write_adapter
from aurac import testbed
from aurac.analysis.collection import collect
from aurac.analysis.cost_axes import costs_of
from aurac.analysis.units import over_parameters
from aurac.errors import ComparisonError, OptionError, RankError
from aurac.report.comparison import compare
from aurac.report.plots.kinds import PlotOptions, draw
from aurac.report.recommendation import recommend
from aurac.results import Run
from aurac.workflows.options import ScoreOptions
from aurac_adapters import export_budget, svd_rotate

SMALL: dict[str, Any] = {
    "tasks": "facts",
    "include_path": testbed.TASKS,
    "limit": 24,
    "batch_size": 16,
    "progress": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("adapters")
    return svd_rotate(write_adapter(root / "mine", seed=0), root / "by-layer", allocate="energy")


def score(folder: Path, **options: Any) -> Run:
    run = aurac.score(folder, **SMALL | options)
    assert run is not None
    return run


@pytest.fixture(scope="module")
def by_budget(folder: Path) -> Run:
    return score(folder, budgets=[0.3, 0.6, 1.0])


@pytest.fixture(scope="module")
def by_rank(folder: Path) -> Run:
    return score(folder, ranks=[1, 2, 4])


def test_the_record_says_what_the_adapter_was_at_each_budget(folder: Path, by_budget: Run) -> None:
    assert by_budget.path == folder / "aurac-budgets"
    sizes, noted = by_budget.ranks, by_budget.record["budgets"]
    assert [int(size) for size in noted] == list(sizes)
    assert noted[str(sizes[-1])] == {"parameters": sizes[-1], "rank": 4}
    layers = noted[str(sizes[0])]["ranks"]
    assert len(set(layers.values())) > 1
    assert noted[str(sizes[0])]["parameters"] <= sizes[0]


def test_a_budget_of_1_scores_what_the_whole_adapter_scores(by_budget: Run, by_rank: Run) -> None:
    whole, full = by_budget.curve("facts"), by_rank.curve("facts")
    assert whole.scores is not None
    assert full.scores is not None
    assert np.array_equal(whole.scores[:, -1], full.scores[:, -1])
    assert (whole.unit, full.unit) == ("parameters", "rank")


def test_a_slice_at_a_budget_scores_what_was_scored_there(folder: Path, by_budget: Run, tmp_path: Path) -> None:
    cut = export_budget(folder, 0.3, tmp_path / "cut")
    whole = json.loads((cut / "adapter_config.json").read_text())["r"]
    ours, theirs = by_budget.curve("facts").scores, score(cut, ranks=[whole]).curve("facts").scores
    assert ours is not None
    assert theirs is not None
    assert np.array_equal(ours[:, 0], theirs[:, 0])


def test_the_signature_says_parameters_and_a_comparison_puts_ranks_on_the_same_axis(
    folder: Path, by_budget: Run
) -> None:
    assert "|params:" in str(aurac.compute(by_budget.curve("facts")).signature)
    uniform = score(folder, budgets=[0.3, 0.6, 1.0], out=folder.parent / "again")
    made = compare([by_budget, uniform])
    assert made.results["again", "facts"].value == made.results[by_budget.name, "facts"].value
    assert "rank" not in draw("curves", [by_budget], PlotOptions()).axes[0].get_xlabel()


def test_a_run_over_ranks_has_its_parameters_beside_one_over_budgets(folder: Path, by_rank: Run) -> None:
    shares = score(folder, budgets=[0.25, 0.5, 1.0], out=folder.parent / "shares")
    ranks = replace(by_rank, name="ranks")
    sizes = {2560: 2560, 5120: 5120, 10240: 10240}  # of 14 layers of rank 4; rank r is r quarters of them
    assert costs_of("params", over_parameters(ranks)) == sizes
    both = compare([ranks, shares])
    assert both.results["ranks", "facts"].score.curve.ranks == tuple(sizes)
    text = both.render("markdown")
    assert "kept 5,120" in text
    assert "r=" not in text
    points = draw("pareto", [ranks, shares], PlotOptions()).axes[0].lines[0].get_xdata()
    assert set(points) <= set(sizes)
    with pytest.raises(ComparisonError, match=r"params is .* and .*--ranks common"):
        compare([ranks, score(folder, budgets=[0.3, 0.6, 1.0], out=folder.parent / "others")])


def test_a_recommendation_names_a_number_of_parameters(by_budget: Run, by_rank: Run) -> None:
    assert recommend(by_budget, margin=0.99).rank == by_budget.ranks[0]
    made = recommend(by_rank, margin=0.99, by="params")
    assert made.rank == by_budget.ranks[-1] // 4
    assert "recommended budget 2,560 of 10,240" in made.render("terminal")


def test_it_goes_on_with_other_budgets_and_keeps_what_was_measured(folder: Path, by_budget: Run) -> None:
    more = score(folder, budgets=[0.45])
    assert set(more.ranks) > set(by_budget.ranks)


def test_ranks_and_budgets_are_not_mixed(folder: Path) -> None:
    with pytest.raises(OptionError, match="ranks and budgets were given"):
        ScoreOptions(tasks="facts", ranks=[1], budgets=[0.5])
    with pytest.raises(OptionError, match="engine server serves ranks, and budgets were given"):
        score(folder, budgets=[0.5], engine="server", url="http://127.0.0.1:9/v1")
    with pytest.raises(RankError, match=r"budget 1.5 is above 1 and no whole number of parameters"):
        score(folder, budgets=[1.5], out=folder.parent / "nothing")
    assert not (folder.parent / "nothing").exists()


def test_a_record_over_ranks_says_how_large_the_adapter_is_at_each_without_its_weights(by_rank: Run) -> None:
    assert by_rank.record["parameters"] == {"1": 2560, "2": 5120, "4": 10240}  # 14 layers; a quarter a rank
    gone = replace(by_rank, path=None, record=deepcopy(by_rank.record))
    gone.record["identity"]["adapter"]["path"] = "nowhere"
    assert costs_of("params", gone) == {1: 2560, 2: 5120, 4: 10240}


def test_a_leaderboard_has_ranks_and_budgets_of_the_same_sizes_in_one_table(
    folder: Path, by_rank: Run, by_budget: Run, tmp_path: Path
) -> None:
    shares = score(folder, budgets=[0.25, 0.5, 1.0], out=folder.parent / "shares")
    for name, run in (("ranks", by_rank), ("shares", shares)):
        assert run.path is not None
        copytree(run.path, tmp_path / "suite" / name)
    (suite,) = collect(tmp_path)
    assert [(run.name, run.ranks) for run in suite.runs] == [(n, (2560, 5120, 10240)) for n in ("ranks", "shares")]
    assert by_budget.path is not None
    copytree(
        by_budget.path, tmp_path / "suite" / "others"
    )  # at other sizes: a table of its own, and the rest as before
    assert [[run.name for run in suite.runs] for suite in collect(tmp_path)] == [["others"], ["ranks", "shares"]]
