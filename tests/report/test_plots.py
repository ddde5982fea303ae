"""Plots show the curves that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats

from aurac.curve import RankAccuracyCurve
from aurac.errors import AuracError, CurveError
from aurac.report.plots import figure_curves, plot_curves, save_curves
from aurac.results import Run
from runs_by_hand import RANKS, curve

Make = Callable[..., Run]


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def test_a_line_holds_the_accuracies_in_points() -> None:
    one = curve("arc", 1)
    ax = plot_curves(one)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), one.accuracies * 100)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), RANKS)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4", "8"]


def test_error_bars_are_t_intervals_over_documents() -> None:
    one = curve("arc", 1)
    segments = plot_curves(one, confidence_level=0.9).containers[0][2][0].get_segments()
    interval = stats.ttest_1samp(one.scores[:, 2], 0).confidence_interval(0.9)
    np.testing.assert_allclose(segments[2][:, 1], np.array([interval.low, interval.high]) * 100)


def test_a_curve_without_documents_has_no_error_bars() -> None:
    assert not plot_curves(RankAccuracyCurve((1, 2), (0.1, 0.2))).containers


def test_losses_are_shown_as_they_are_with_their_direction() -> None:
    loss = RankAccuracyCurve((1, 2), (3.0, 2.5), metric="bits_per_byte", bounded=False, higher_is_better=False)
    ax = plot_curves(loss)
    assert ax.get_ylabel() == "bits_per_byte, lower is better"
    assert ax.lines[0].get_ydata().tolist() == [3.0, 2.5]


def test_a_figure_has_one_panel_a_task_and_one_legend(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1), curve("hella", 2)) for name in ("a", "b$c_d")]
    figure = figure_curves(runs, tasks=["arc", "hella"])
    assert [ax.get_title() for ax in figure.axes] == ["arc", "hella"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", r"b\$c_d"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_runs_give_the_same_bytes(suffix: str, make_run: Make, tmp_path: Path) -> None:
    runs = [make_run("a", curve("arc", 1))]
    for name in ("one", "two"):
        save_curves(runs, tmp_path / f"{name}{suffix}", tasks=["arc"])
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_format_that_cannot_be_written_is_refused_before_drawing(tmp_path: Path) -> None:
    with pytest.raises(AuracError, match=r"its ending is '.gif'. Use one of .png, .pdf, .svg"):
        save_curves([], tmp_path / "x.gif", tasks=["arc"])


def test_a_run_of_several_tasks_needs_to_know_which(make_run: Make) -> None:
    with pytest.raises(CurveError, match=r"run 'a' has 2 tasks \(arc, hella\); say which with task="):
        plot_curves(make_run("a", curve("arc", 1), curve("hella", 2)))
