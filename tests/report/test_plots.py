"""Plots show the curves that they are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError, CurveError
from aurac.report.plots.curves import figure_curves, plot_curves, save_curves
from aurac.report.plots.looks import LOOKS, looks, standard_look
from aurac.results import Run
from aurac.statistics.bands import curve_band
from aurac_adapters.methods import METHODS
from runs_by_hand import RANKS, curve

Make = Callable[..., Run]


def test_a_line_holds_the_accuracies_in_points() -> None:
    one = curve("arc", 1)
    ax = plot_curves(one)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), one.accuracies * 100)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), RANKS)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4", "8"]


def test_a_band_is_the_max_t_band_over_documents() -> None:
    one = curve("arc", 1)
    (band,) = plot_curves(one, confidence_level=0.9).collections
    expected = curve_band(one, confidence_level=0.9)
    edges = band.get_paths()[0].vertices  # type: ignore[union-attr]
    for rank, low, high in zip(RANKS, expected.low, expected.high, strict=True):
        found = edges[edges[:, 0] == rank, 1]
        np.testing.assert_allclose([found.min(), found.max()], [low * 100, high * 100])


def test_many_curves_have_bars_of_the_same_bands_set_apart() -> None:
    curves = [curve("arc", seed).named(f"run {seed}") for seed in range(5)]
    ax = plot_curves(curves)
    assert len(ax.containers) == 5
    segments = ax.containers[2][2][0].get_segments()
    expected = curve_band(curves[2])
    np.testing.assert_allclose([s[:, 1] for s in segments], np.column_stack([expected.low, expected.high]) * 100)
    assert len({round(float(line.get_xdata()[0]), 6) for line in ax.lines if len(line.get_xdata()) == 4}) == 5


@pytest.mark.parametrize("n", [3, 5])
def test_documents_that_are_all_right_have_a_band_below_them(n: int) -> None:
    sure = RankAccuracyCurve.from_scores(RANKS, np.ones((20, 4)))
    ax = plot_curves([sure.named(str(number)) for number in range(n)])
    assert ax.get_ylim()[0] < 90


def test_one_rank_is_a_point_with_a_bar() -> None:
    ax = plot_curves(curve("arc", 1).select_ranks([8]))
    assert len(ax.containers) == 1


def test_the_base_model_is_a_line_and_retrained_adapters_are_points() -> None:
    points = RankAccuracyCurve((2, 16), (0.5, 0.6))
    ax = plot_curves(curve("arc", 1), base=0.25, reference=points)
    lines = {str(line.get_label()): line for line in ax.lines}
    assert set(np.asarray(lines["base model"].get_ydata())) == {25.0}
    assert np.asarray(lines["retrained per rank"].get_ydata()).tolist() == [50.0, 60.0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4", "8", "16"]


def test_a_curve_without_documents_has_no_error_bars() -> None:
    ax = plot_curves(RankAccuracyCurve((1, 2), (0.1, 0.2)))
    assert not ax.containers
    assert not ax.collections


def test_losses_are_shown_as_they_are_with_their_direction() -> None:
    loss = RankAccuracyCurve((1, 2), (3.0, 2.5), metric="bits_per_byte", bounded=False, higher_is_better=False)
    ax = plot_curves(loss)
    assert ax.get_ylabel() == "bits_per_byte, lower is better"
    assert ax.lines[0].get_ydata().tolist() == [3.0, 2.5]


def test_a_legend_of_long_names_is_as_wide_as_the_figure_at_most_and_takes_nothing_from_the_panels(
    make_run: Make,
) -> None:
    heights = []
    for names in (("a", "b", "c"), tuple(f"a-method-with-a-rather-long-name-{n}" for n in range(3))):
        runs = [make_run(name, curve("arc", n), curve("hella", n)) for n, name in enumerate(names)]
        figure = figure_curves(runs, tasks=["arc", "hella"])
        figure.canvas.draw()
        assert figure.legends[0].get_window_extent().width <= figure.bbox.width
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.1)  # a row of the legend is as high as its font


def test_a_figure_has_one_panel_a_task_and_one_legend(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1), curve("hella", 2)) for name in ("a", "b$c_d")]
    figure = figure_curves(runs, tasks=["arc", "hella"])
    assert [ax.get_title() for ax in figure.axes] == ["arc", "hella"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", r"b\$c_d"]


def test_runs_of_several_tasks_get_a_panel_each(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1), curve("hella", 2)) for name in ("a", "b")]
    assert [ax.get_title() for ax in plot_curves(runs).figure.axes] == ["arc", "hella"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_runs_give_the_same_bytes(suffix: str, make_run: Make, tmp_path: Path) -> None:
    runs = [make_run("a", curve("arc", 1))]
    for name in ("one", "two"):
        save_curves(runs, tmp_path / f"{name}{suffix}", tasks=["arc"])
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_format_that_cannot_be_written_is_refused_before_drawing(tmp_path: Path) -> None:
    with pytest.raises(AuracError, match=r"its ending is '.gif'. Use one of .png, .pdf, .svg"):
        save_curves([], tmp_path / "x.gif", tasks=["arc"])


def test_nothing_to_plot_is_an_error() -> None:
    with pytest.raises(CurveError, match=r"there is nothing to plot. Give at least one run or curve"):
        plot_curves([])


def test_a_run_of_several_tasks_on_given_axes_needs_to_know_which(make_run: Make) -> None:
    import matplotlib.pyplot as plt

    with pytest.raises(CurveError, match=r"run 'a' has 2 tasks \(arc, hella\); say which with task=\."):
        plot_curves(make_run("a", curve("arc", 1), curve("hella", 2)), ax=plt.subplots()[1])


def line_style(index: int) -> dict[str, Any]:
    return vars(standard_look(index))


def test_a_method_looks_the_same_in_every_figure_and_others_take_what_is_free() -> None:
    assert looks(["dylora", "lora"]) == looks(["lora", "dylora"])[::-1]
    mine, lora, again = looks(["mine", "lora", "lora-seed-7"])
    assert lora == line_style(0)
    assert (mine, again) == (line_style(1), line_style(2))
    assert looks(["lora-seed-7", "lora"])[1] == line_style(0)
    assert looks(["svd-lora-seed-1"]) == [line_style(4)]


def test_every_method_of_the_project_has_its_look_and_sixteen_lines_differ() -> None:
    assert set(METHODS) <= set(LOOKS)
    found = [str(look) for look in looks([f"run {n}" for n in range(10)] + list(METHODS))]
    assert len(set(found)) == len(found)
    assert len({str(line_style(n)["linestyle"]) for n in range(8)}) == 8  # in grey too
