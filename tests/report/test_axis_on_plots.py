"""A plot of curves says where the other axis of ranks gives other places."""

from __future__ import annotations

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.report.comparison import compare
from aurac.report.plots.curves import figure_curves
from aurac.report.plots.kinds import PlotOptions, draw
from aurac.results import Run

DOCUMENTS = [str(n) for n in range(200)]


def run(name: str, right: list[int]) -> Run:
    """Right answers of the first so many documents at ranks 1, 2, 4 and 8."""
    scores = np.array([[float(n < many) for many in right] for n in range(200)])
    curve = RankAccuracyCurve([1, 2, 4, 8], scores=scores, documents=DOCUMENTS, name=name, task="arc", metric="acc")
    return Run(name, None, {}, {"arc": curve})


EARLY, LATE, SMALL = run("early", [150, 150, 100, 60]), run("late", [60, 60, 150, 150]), run("small", [20, 20, 20, 20])


@pytest.mark.parametrize(("runs", "said"), [([EARLY, LATE], True), ([EARLY, SMALL], False)])
def test_the_label_says_whether_places_differ_on_the_other_axis(runs: list[Run], said: bool) -> None:
    for figure in (
        figure_curves(runs, tasks=["arc"], comparison=compare(runs)),
        draw("curves", runs, PlotOptions()),
    ):
        assert ("other places on the linear axis" in figure.axes[0].get_xlabel()) is said


def test_curves_that_cannot_be_compared_are_drawn_without_a_word() -> None:
    other = Run(
        "other",
        None,
        {},
        {"arc": RankAccuracyCurve([1, 2, 4], [0.1, 0.2, 0.3], name="other", task="arc", metric="acc")},
    )
    assert draw("curves", [EARLY, other], PlotOptions()).axes[0].get_xlabel() == "rank"
