"""What a comparison says beside one p-value: the other axis, the family of tests, equality, different ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.report.plots.places import plot_critical_difference
from aurac.report.recommendation import recommend
from aurac.results import Run
from aurac.statistics.multiplicity import holm
from runs_by_hand import curve

Make = Callable[..., Run]
KEYS = [f"d{i}" for i in range(600)]


def with_levels(task: str, levels: list[float], n: int = 600) -> RankAccuracyCurve:
    """A curve whose documents are answered in the order of their difficulty, with a little noise."""
    rng = np.random.default_rng(len(levels))
    difficulty = np.linspace(0, 1, n)[:, None] + rng.normal(0, 0.03, (n, 1))
    return RankAccuracyCurve.from_scores(
        [2**k for k in range(len(levels))], (difficulty < levels) * 1.0, task=task, documents=KEYS[:n], metric="acc"
    )


@pytest.fixture
def reversing(make_run: Make) -> list[Run]:
    """Good at small ranks against good at large ones: the log2 axis prefers the first, the linear axis the second."""
    return [
        make_run("early", with_levels("arc", [0.5, 0.5, 0.5, 0.5, 0.5])),
        make_run("late", with_levels("arc", [0.2, 0.3, 0.4, 0.6, 0.75])),
    ]


def test_a_winner_that_depends_on_the_axis_is_named(reversing: list[Run]) -> None:
    made = compare(reversing)
    assert [run.name for run in made.ordered()] == ["early", "late"]
    assert made.notes[0] == (
        "Another axis, another answer: on the linear axis, where every rank counts the same, late is significantly "
        "ahead of early, on log2 significantly behind (arc)."
    )
    assert "(1)" in made.to_markdown()
    row = {row["run"]: row for row in made.records()}["late"]
    assert (row["place_first"], row["other_axis"], row["place_first_other_axis"]) == (2, "linear", 1)
    assert row["aurac_other_axis"] == pytest.approx(row["aurac_linear"])
    turned = compare(reversing, axis="linear")
    assert "early is significantly ahead of late, on linear significantly behind" in turned.notes[0]
    assert "linear axis: other places, late > early" in plot_critical_difference(made).texts[-1].get_text()


def test_an_order_that_holds_on_both_axes_has_no_note(make_run: Make) -> None:
    runs = [make_run("low", with_levels("arc", [0.2, 0.3, 0.4])), make_run("high", with_levels("arc", [0.4, 0.5, 0.6]))]
    made = compare(runs)
    assert not any("axis" in note for note in made.notes)
    assert "axis:" not in plot_critical_difference(made).texts[-1].get_text()


def test_the_family_of_all_tasks_adjusts_over_them(make_run: Make) -> None:
    runs = [
        make_run(name, curve("arc", seed, n=200, shift=shift), curve("hella", seed + 1, n=200, shift=shift))
        for name, seed, shift in (("a", 1, 0.0), ("b", 3, 0.02), ("c", 5, 0.03))
    ]
    alone, together = compare(runs), compare(runs, family="all")
    keys = [(name, task) for task in ("arc", "hella") for name in ("b", "c")]
    raw = [d.p_value for key in keys if (d := alone.results[key].difference) and d.p_value is not None]
    assert [together.results[key].p_holm for key in keys] == pytest.approx(holm(raw))
    assert together.results["b", "macro"].p_holm == alone.results["b", "macro"].p_holm
    pairs = [d.p_value for task in ("arc", "hella") for d in alone.pairs[task].differences.values() if d.p_value]
    adjusted = [p for task in ("arc", "hella") for p in together.pairs[task].p_adjusted.values()]
    assert adjusted == pytest.approx(holm(pairs))
    assert "Holm, family of 4 over 2 tasks" in together.to_markdown()
    assert "Holm, family of 2 on each task" in alone.to_markdown()


def test_equality_is_tested_where_a_margin_is_given(make_run: Make) -> None:
    same, other = with_levels("arc", [0.4, 0.5, 0.6]), with_levels("arc", [0.2, 0.3, 0.4])
    made = compare([make_run("a", same), make_run("b", same), make_run("c", other)], margin=0.02)
    assert made.equal_within is not None
    # 600 documents without a difference: z = -sqrt(600 * .02 / .98)
    assert made.equal_within.tests["b", "arc"].p_value == pytest.approx(2.33e-4, rel=1e-2)  # 3 digits
    assert made.equal_within.tests["c", "arc"].p_value == 0.5
    text = made.to_markdown()
    assert "Equal to a within 2.00 points" in text
    assert "| b | arc | 0.00 | <.001 | equal |" in text.replace("&lt;", "<").replace("+0.00", "0.00")
    assert "| ≥.5 | not shown |" in text
    rows = json.loads(made.to_json())["rows"]
    assert {row["run"]: row["p_equal"] for row in rows}["c"] == 0.5
    with pytest.raises(CurveError, match=r"margin -0.01 is not positive"):
        compare([make_run("a", same), make_run("b", same)], margin=-0.01)


def test_runs_of_different_ranks_are_compared_on_the_common_ones(make_run: Make) -> None:
    runs = [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3).select_ranks([1, 4, 8]))]
    with pytest.raises(ComparisonError, match=r"ranks is 1-2-4-8 and 1-4-8.*--ranks common"):
        compare(runs)
    made = compare(runs, ranks="common")
    assert made.results["a", "arc"].value == pytest.approx(curve("arc", 1).select_ranks([1, 4, 8]).area())
    assert "arc: compared at the ranks that all runs have, 1-4-8; others are left out." in made.notes
    first, second = curve("arc", 1).select_ranks([1, 2]), curve("arc", 3).select_ranks([4, 8])
    with pytest.raises(ComparisonError, match=r"no rank in common \(a: 1-2; b: 4-8\)"):
        compare([make_run("a", first), make_run("b", second)], ranks="common")


def test_different_ranks_that_are_allowed_have_no_common_order(make_run: Make) -> None:
    runs = [
        make_run("low", curve("arc", 1, shift=-0.2)),
        make_run("high", curve("arc", 3, shift=0.2).select_ranks([1, 4, 8])),
    ]
    made = compare(runs, allow=["ranks"])
    assert [run.name for run in made.ordered()] == ["low", "high"]
    assert "**" not in made.to_markdown().split("| low")[1].split("| high")[0]
    assert "their AURACs have no common order" in str(made.summary())


def test_the_rank_of_a_method_is_that_for_its_next_training() -> None:
    def trained(seed: int) -> Run:
        record: dict[str, Any] = {"identity": {"adapter": {"method": "dylora", "seed": seed, "sidecar": True}}}
        return Run(
            f"dylora-{seed}", None, record, {"arc": curve("arc", seed, n=400), "hella": curve("hella", seed, n=400)}
        )

    made = recommend([trained(seed) for seed in (1, 2, 3)], margin=0.3)
    assert (made.run.name, made.tests["arc"].target, made.tests["arc"].n_seeds) == ("dylora", "docs+seeds", 3)
    assert "from 3 trainings: the rank to serve for the next one" in made.to_markdown().replace("\n", " ")
    assert json.loads(made.to_json())["tasks"]["arc"]["target"] == "docs+seeds"
    assert recommend([trained(1)], margin=0.3).tests["arc"].target == "docs"
    other = trained(4)
    other.record["identity"]["adapter"]["method"] = "lora"
    with pytest.raises(ComparisonError, match=r"of 2 methods or settings \(dylora, lora\). Give the trainings of one"):
        recommend([trained(1), other])


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize(("n", "n_seeds"), [(2, 1), (2, 2), (3, 3), (40, 1), (40, 3)])
def test_degenerate_data_goes_through_every_format_without_nan(level: float, n: int, n_seeds: int) -> None:
    def method(name: str, at: float) -> list[Run]:
        made = RankAccuracyCurve.from_scores([1, 2], np.full((n, 2), at), task="arc", documents=KEYS[:n])
        return [
            Run(f"{name}{s}", None, {"identity": {"adapter": {"method": name, "seed": s}}}, {"arc": made})
            for s in range(n_seeds)
        ]

    groups = {"a": method("a", level), "b": method("b", level), "c": method("c", 1 - level)}
    reports: list[Any] = [compare(groups, target="docs", margin=0.01), recommend(groups["a"])]
    if n_seeds > 1:
        reports.append(compare(groups, margin=0.01))
    for report in reports:
        for output in FORMATS:
            text = report.render(output)
            assert "nan" not in text.lower()
            assert "inf" not in text.lower().replace("information", "").replace("inference", "").replace("infer", "")
        json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
