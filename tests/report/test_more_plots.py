"""Differences, intervals, places, Pareto fronts: the pictures show the numbers that the statistics give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac.analysis import rank_costs
from aurac.analysis.adapter_size import Size
from aurac.analysis.front import Point, pareto_front, points_of, shown_front
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError, ComparisonError, CurveError, RecordError, UnknownNameError
from aurac.report.comparison import compare
from aurac.report.plots import style
from aurac.report.plots.difference import plot_difference
from aurac.report.plots.intervals import plot_intervals
from aurac.report.plots.kinds import KINDS, PlotOptions, draw
from aurac.report.plots.looks import COLOURS
from aurac.report.plots.pareto import plot_pareto
from aurac.report.plots.places import plot_critical_difference
from aurac.results import Run
from aurac.statistics.bands import difference_band
from aurac.statistics.tiers import Tiers
from runs_by_hand import RANKS, curve, profile_of

Make = Callable[..., Run]


@pytest.fixture
def runs(make_run: Make) -> list[Run]:
    shifts = {"lora": 0.0, "dylora": 0.06, "matryoshka": 0.3}
    return [
        make_run(name, curve("arc", seed, shift=s), curve("hella", seed + 1, shift=s))
        for seed, (name, s) in zip((1, 3, 5), shifts.items(), strict=True)
    ]


def lines(ax: Any) -> dict[str, Any]:
    return {str(line.get_label()): line for line in ax.lines}


def test_a_difference_curve_is_the_paired_difference_with_its_band(runs: list[Run]) -> None:
    ax = plot_difference(runs[:2], task="arc")
    expected = difference_band(runs[1].curve("arc"), runs[0].curve("arc"))
    np.testing.assert_allclose(lines(ax)["dylora"].get_ydata(), expected.estimate * 100)
    edges = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(edges[:, 1].max(), expected.high.max() * 100)
    assert "minus lora" in ax.get_legend().get_title().get_text()


def test_any_run_can_be_the_baseline_and_runs_keep_their_colours(runs: list[Run]) -> None:
    ax = plot_difference(runs, baseline="dylora", task="arc")
    found = lines(ax)
    assert [name for name in found if not name.startswith("_")] == ["lora", "matryoshka"]
    assert found["matryoshka"].get_color() == COLOURS[2]


def test_identical_runs_have_a_difference_of_zero_with_the_band_that_their_documents_leave_open(make_run: Make) -> None:
    same = curve("arc", 1)
    ax = plot_difference([make_run("a", same), make_run("b", same)])
    assert set(np.asarray(lines(ax)["b"].get_ydata())) == {0.0}
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.max() == -edges.min() > 5  # 40 documents


def test_a_difference_needs_two_runs_and_a_known_baseline(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"a difference needs two runs. Give the baseline and at least one other"):
        plot_difference(runs[:1], task="arc")
    with pytest.raises(UnknownNameError, match=r"unknown baseline 'lra'. Did you mean 'lora'"):
        plot_difference(runs, baseline="lra", task="arc")
    with pytest.raises(CurveError, match=r"one document has no spread"):
        plot_difference([curve("arc", 1, n=1).named("a"), curve("arc", 2, n=1).named("b")])


def test_intervals_are_those_of_the_scores(runs: list[Run]) -> None:
    comparison = compare(runs)
    ax = plot_intervals(comparison)
    drawn = {tuple(np.round(line.get_xdata(), 9)) for line in ax.lines if len(line.get_xdata()) == 2}
    for run in runs:
        score = comparison.results[run.name, "arc"].score
        assert score is not None
        assert score.interval is not None
        assert tuple(np.round([score.interval.low * 100, score.interval.high * 100], 9)) in drawn
        macro = comparison.results[run.name, "macro"]
        assert macro.stderr is not None
        halves = [(high - low) / 2 / macro.stderr / 100 for low, high in drawn if low < macro.value * 100 < high]
        assert any(1.96 < half < 2.03 for half in halves)  # t with about 78 degrees of freedom
    assert [label.get_text() for label in ax.get_yticklabels()] == ["arc (acc)", "hella (acc)", "macro"]


def test_scores_without_documents_are_points_without_intervals(make_run: Make) -> None:
    ax = plot_intervals([make_run("a", RankAccuracyCurve((1, 2), (0.1, 0.3), task="arc"))])
    assert [len(line.get_xdata()) for line in ax.lines] == [1]


def test_tasks_of_different_units_have_no_common_axis(make_run: Make) -> None:
    loss = RankAccuracyCurve((1, 2), (3.0, 2.0), task="wiki", bounded=False, higher_is_better=False)
    with pytest.raises(ComparisonError, match=r"metrics of different units, which have no common axis. Choose with"):
        plot_intervals([make_run("a", curve("arc", 1), loss)])


def test_bars_join_the_runs_that_the_adjusted_tests_cannot_tell_apart(runs: list[Run]) -> None:
    comparison = compare(runs, tasks=["arc"])
    tiers = comparison.tiers("arc")
    assert tiers is not None
    assert tiers.cliques == (("dylora", "lora"),)
    ax = plot_critical_difference(comparison)
    (bar,) = [line for line in ax.lines if line.get_label() == "_tied"]
    ends = sorted(comparison.results[name, "arc"].value * 100 for name in ("lora", "dylora"))
    np.testing.assert_allclose(sorted(bar.get_xdata()), ends, rtol=1e-6, atol=0.5)  # drawn a little longer
    assert {text.get_text() for text in ax.texts} == {
        "lora",
        "dylora",
        "matryoshka",
        "bars: not told apart at level 0.05",
    }


def test_a_bar_over_a_run_that_is_told_apart_has_dots_on_the_runs_that_it_joins(runs: list[Run]) -> None:
    comparison = compare(runs, tasks=["arc"])
    between = Tiers(("matryoshka", "lora", "dylora"), {}, (("matryoshka", "dylora"),))
    with patch.object(type(comparison), "tiers", lambda *_: between):
        ax = plot_critical_difference(comparison)
    (dots,) = [line for line in ax.lines if line.get_label() == "_member"]
    expected = [comparison.results[name, "arc"].value * 100 for name in ("matryoshka", "dylora")]
    assert list(dots.get_xdata()) == pytest.approx(expected)
    assert any("joins only the runs at its dots" in " ".join(text.get_text().split()) for text in ax.texts)


def test_names_on_one_side_of_the_diagram_stand_in_rows_of_their_own(make_run: Make) -> None:
    many = [make_run(f"run {seed}", curve("arc", seed)) for seed in range(7)]
    names = [text for text in plot_critical_difference(many).texts if text.get_text().startswith("run ")]
    heights = [text.xy[1] for text in names]  # type: ignore[attr-defined]
    assert len(set(heights)) == 4
    assert max(heights.count(height) for height in heights) == 2


def test_identical_runs_are_one_bar_and_no_test_is_an_error(make_run: Make) -> None:
    same = curve("arc", 1)
    ax = plot_critical_difference([make_run("a", same), make_run("b", same)])
    assert sum(line.get_label() == "_tied" for line in ax.lines) == 1
    with pytest.raises(ComparisonError, match=r"there are no tests on arc: a diagram needs two runs"):
        plot_critical_difference([make_run("a", same)])


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_no_point_of_the_front_is_dominated_and_every_other_point_is(pairs: list[tuple[int, int]]) -> None:
    points = [Point(str(i), 1, size, score) for i, (size, score) in enumerate(pairs)]
    front = pareto_front(points)
    for point in points:
        dominated = any(
            q.size <= point.size and q.score >= point.score and (q.size, q.score) != (point.size, point.score)
            for q in points
        )
        twin = any((q.size, q.score) == (point.size, point.score) for q in front)
        assert dominated != twin


def by_hand(right: dict[int, int], task: str = "arc", n: int = 40) -> RankAccuracyCurve:
    """The first so many of n documents are right at each rank."""
    scores = [[float(i < count) for count in right.values()] for i in range(n)]
    return RankAccuracyCurve.from_scores(list(right), scores, documents=[str(i) for i in range(n)], task=task)


def test_the_front_goes_up_only_where_a_paired_test_shows_it(make_run: Make) -> None:
    # a at rank 2: 10 documents better, none worse, p about .001 (sign test 2 * .5 ** 10); at rank 4: one more, p = 1.
    a, b = make_run("a", by_hand({1: 10, 2: 20, 4: 21})), make_run("b", by_hand({1: 9, 2: 5, 4: 4}))
    points = [p for run in (a, b) for p in points_of(run, {1: 1, 2: 2, 4: 4}, ["arc"], confidence_level=0.95)]
    front = shown_front([a, b], points, ["arc"])
    # At rank 1 one document tells a from b: nothing, so both names stand there.
    assert [(point.rank, runs) for point, runs in front.steps] == [(1, ("a", "b")), (2, ("a",))]
    assert [(p.rank, p.run) for p in pareto_front(points)] == [(1, "a"), (2, "a"), (4, "a")]
    ax = plot_pareto([a, b])
    assert [text.get_text() for text in ax.texts] == ["a\nb\nr=1", "a\nr=2"]
    assert "front, each step shown" in lines(ax)


def test_points_have_the_interval_of_their_rank_alone(make_run: Make) -> None:
    (point,) = points_of(make_run("a", by_hand({2: 20})), {2: 2}, ["arc"], confidence_level=0.95)
    assert point.interval is not None
    # Wilson's interval of 20 in 40, by hand: .5 -+ 1.96 sqrt(.25 / 40 + 1.96 ** 2 / 6400) / (1 + 1.96 ** 2 / 40).
    half = 1.959964 * np.sqrt(0.25 / 40 + 1.959964**2 / 6400) / (1 + 1.959964**2 / 40)
    np.testing.assert_allclose([point.interval.low, point.interval.high], [0.5 - half, 0.5 + half], rtol=0.02)
    ax = plot_pareto(make_run("a", by_hand({1: 40, 2: 40})))
    low = ax.collections[0].get_segments()[0][0][1]  # type: ignore[attr-defined]
    assert low < 95  # all right in 40 documents is no certainty


def test_without_documents_the_front_is_called_estimates(make_run: Make) -> None:
    ax = plot_pareto(make_run("a", RankAccuracyCurve((1, 2), (0.1, 0.3), task="arc")))
    assert "front of estimates, untested" in lines(ax)
    assert ax.get_legend().get_title().get_text() == ""


def test_a_diagram_without_ties_says_why_it_has_no_bars(make_run: Make) -> None:
    far = [make_run("a", by_hand({1: 2, 2: 4})), make_run("b", by_hand({1: 30, 2: 38}))]
    assert [t.get_text() for t in plot_critical_difference(far).texts][-1] == (
        "no bars: every two of them differ at level 0.05"
    )


def test_legends_name_the_best_run_first_and_call_bars_bars(runs: list[Run], make_run: Make) -> None:
    many = [*runs, make_run("worst", curve("arc", 9, shift=-0.2), curve("hella", 10, shift=-0.2))]
    means = {run.name: sum(run.curve(task).area() for task in ("arc", "hella")) for run in many}
    figure = draw("curves", many, PlotOptions())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == sorted(means, key=lambda name: -means[name])
    assert legend.get_title().get_text() == "95% simultaneous bars"
    assert draw("curves", runs, PlotOptions()).legends[0].get_title().get_text() == "95% simultaneous bands"


def test_sizes_are_ranks_where_parameters_are_unknown(runs: list[Run]) -> None:
    ax = plot_pareto(runs, tasks="arc")
    assert ax.get_xlabel() == "rank"
    assert np.asarray(lines(ax)["lora"].get_xdata()).tolist() == list(RANKS)
    np.testing.assert_allclose(lines(ax)["lora"].get_ydata(), runs[0].curve("arc").accuracies * 100)


def test_sizes_are_parameters_where_all_are_known(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"lora": 1000, "dylora": 2000, "matryoshka": 2000}  # of one rank
    monkeypatch.setattr(
        rank_costs, "sizes_at", lambda run, ranks: {rank: Size(rank * sizes[run.name], 0) for rank in ranks}
    )
    ax = plot_pareto(runs)
    assert ax.get_xlabel() == "adapter parameters"
    assert np.asarray(lines(ax)["lora"].get_xdata()).tolist() == [1000, 2000, 4000, 8000]
    mean = (runs[1].curve("arc").accuracies + runs[1].curve("hella").accuracies) / 2
    np.testing.assert_allclose(lines(ax)["dylora"].get_ydata(), mean * 100)


def test_the_axis_may_be_a_time_of_the_profile(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_costs, "read_profile", lambda _: profile_of(8000))
    ax = plot_pareto(runs, tasks="arc", cost="decode")
    assert ax.get_xlabel() == "one token with the adapter attached (ms)"
    np.testing.assert_allclose(lines(ax)["lora"].get_xdata(), [1.01, 1.02, 1.04, 1.08])  # profile_of says so
    np.testing.assert_allclose(lines(plot_pareto(runs, cost="prefill"))["lora"].get_xdata(), [20.1, 20.2, 20.4, 20.8])


def test_times_need_profiles_that_compare(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordError, match=r"run 'lora' has no times. Measure them with `aurac profile ADAPTER_DIR"):
        plot_pareto(runs, cost="decode")
    with pytest.raises(UnknownNameError, match=r"unknown cost 'decoding'. Did you mean 'decode'"):
        plot_pareto(runs, cost="decoding")
    found = {
        "lora": profile_of(8000),
        "dylora": profile_of(8000, batch_size=8),
        "matryoshka": profile_of(8, ranks=(1, 2)),
    }
    monkeypatch.setattr(rank_costs, "read_profile", lambda run: found[run.name])
    with pytest.raises(
        CurveError, match=r"times of lora and dylora do not compare: batch_size is 1 and 8. Profile both"
    ):
        plot_pareto(runs[:2], cost="decode")
    with pytest.raises(RecordError, match=r"run 'matryoshka' was scored at rank 4, which its profile lacks"):
        plot_pareto(runs[2], cost="decode")


def test_a_front_needs_runs_of_one_unit(runs: list[Run], make_run: Make) -> None:
    loss = RankAccuracyCurve((1, 2), (3.0, 2.0), task="wiki", bounded=False, higher_is_better=False)
    with pytest.raises(CurveError, match=r"a curve says nothing about the size of its adapter. Give runs"):
        plot_pareto(runs[0].curve("arc"))
    with pytest.raises(CurveError, match=r"metrics of different units or directions, which have no mean"):
        plot_pareto(make_run("a", curve("arc", 1), loss))
    with pytest.raises(CurveError, match=r"run 'a' has no curve. task 'arc' failed"):
        plot_pareto(replace(make_run("a"), problems={"arc": "task 'arc' failed"}))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        pytest.param(kind, suffix, marks=() if kind == "curves" or suffix == ".svg" else pytest.mark.slow)
        for kind in KINDS
        for suffix in style.SUFFIXES
    ],
)
def test_every_kind_gives_the_same_bytes_for_the_same_runs(
    kind: str, suffix: str, runs: list[Run], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        style.write(lambda: draw(kind, runs, PlotOptions()), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_prints_names_that_are_markup_as_they_are(kind: str, make_run: Make, tmp_path: Path) -> None:
    nasty = [make_run(name, curve("t$x_1$", seed)) for seed, name in enumerate(("a_b<c>&", "$\\frac$"))]
    style.write(lambda: draw(kind, nasty, PlotOptions()), tmp_path / "x.svg")
    assert "a_b&lt;c&gt;&amp;" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_options_that_a_kind_has_no_use_for_are_refused(runs: list[Run]) -> None:
    with pytest.raises(AuracError, match=r"--base is for curves, not for pareto. Leave it out"):
        draw("pareto", runs, PlotOptions(bases={"arc": 40.0}))
    with pytest.raises(AuracError, match=r"--cost is for pareto, not for curves. Leave it out"):
        draw("curves", runs, PlotOptions(cost="decode"))
    with pytest.raises(
        AuracError, match=r"a base score was given for 'ark', which is not plotted. Plotted: arc, hella"
    ):
        draw("curves", runs, PlotOptions(bases={"ark": 40.0}))
    with pytest.raises(UnknownNameError, match=r"unknown kind of plot 'curve'. Did you mean 'curves'"):
        draw("curve", runs, PlotOptions())
