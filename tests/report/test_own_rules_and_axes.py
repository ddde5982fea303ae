"""A rule, an axis, a cost and a look from outside: through compute, compare, prose, plots, signature and LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import aurac
from aurac.analysis.costs import COSTS
from aurac.analysis.rank_costs import Cost
from aurac.errors import CurveError
from aurac.quadrature import AXES, RULES, Axis, Rule
from aurac.report.comparison import compare
from aurac.report.pages.explorer import explorer_data
from aurac.report.plots.curves import plot_curves
from aurac.report.plots.difference import plot_difference
from aurac.report.plots.looks import COLOURS, LOOKS, Look
from aurac.report.plots.pareto import plot_pareto
from aurac.results import Run
from runs_by_hand import RANKS, curve

Make = Callable[..., Run]


def ends(x: Any) -> Any:
    """Half a weight for each end."""
    return np.where((x == x[0]) | (x == x[-1]), 0.5, 0.0)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put entries into the tables, as a package of plug-ins does."""
    module = ModuleType("own_entries")
    monkeypatch.setitem(sys.modules, "own_entries", module)

    def register(table: Any, name: str, entry: Any) -> None:
        setattr(module, name, entry)
        monkeypatch.setitem(table._entries, name, f"own_entries:{name}")

    return register


@pytest.fixture
def runs(make_run: Make) -> list[Run]:
    return [make_run("a", curve("arc", 1)), make_run("b", curve("arc", 3, shift=0.1))]


def test_a_rule_with_words_is_spoken_of_in_its_words(registered: Any, runs: list[Run]) -> None:
    registered(RULES, "ends", Rule(ends, words="the mean of both ends", short="en"))
    score = aurac.compute({1: 0.2, 2: 0.9, 4: 0.4}, rule="ends")
    assert score.value == pytest.approx(0.3, rel=1e-12)  # (0.2 + 0.4) / 2
    assert "|rule:en|" in str(score.signature)
    comparison = compare(runs, rule="ends")
    assert "integrated with the mean of both ends over the base-2 logarithm of the rank" in comparison.prose()
    assert "rule:en" in comparison.to_latex()


def test_a_bare_function_is_a_rule_that_is_called_by_its_name(registered: Any, runs: list[Run]) -> None:
    registered(RULES, "ends", ends)
    comparison = compare(runs, rule="ends")
    assert "integrated with the ends rule over" in comparison.prose()
    assert "rule:ends" in comparison.to_markdown()
    assert "ends rule on the log2 axis" in str(aurac.compute(runs[0], rule="ends"))


def test_an_axis_with_words_is_spoken_of_and_drawn_as_it_says(registered: Any, runs: list[Run]) -> None:
    registered(AXES, "root", Axis(np.sqrt, words="the square root of the rank", label="rank (square root)"))
    score = aurac.compute({1: 0.2, 4: 0.4, 9: 0.9}, axis="root")
    assert score.value == pytest.approx(0.25 * 0.2 + 0.5 * 0.4 + 0.25 * 0.9, rel=1e-12)  # at 1, 2 and 3
    assert "|axis:root|" in str(score.signature)
    comparison = compare(runs, axis="root")
    assert "over the square root of the rank and divided" in comparison.prose()
    assert "axis:root" in comparison.to_latex()
    for ax in (plot_curves(runs, axis="root"), plot_difference(runs, axis="root")):
        assert ax.get_xlabel() == "rank (square root)"
        place = ax.transData.transform(np.column_stack([RANKS, np.zeros(4)]))[:, 0]
        widths = np.diff(place) / (place[-1] - place[0])
        np.testing.assert_allclose(widths, np.diff(np.sqrt(RANKS)) / (np.sqrt(8) - 1), rtol=1e-9)  # pixels of a screen


def test_a_bare_function_is_an_axis_that_is_called_by_its_name(registered: Any, runs: list[Run]) -> None:
    registered(AXES, "root", np.sqrt)
    assert "over the rank on the root axis and divided" in compare(runs, axis="root").prose()
    many = [run for k in range(3) for run in (runs[0].curve("arc").named(f"x{k}"), runs[1].curve("arc").named(f"y{k}"))]
    assert len(plot_curves(many, axis="root").lines) > 5  # drawn apart


def test_an_axis_in_hand_needs_no_table(runs: list[Run]) -> None:
    assert aurac.weights([1, 4, 9], axis=Axis(np.sqrt)).tolist() == [0.25, 0.5, 0.25]
    assert "|axis:own|" in str(aurac.compute(runs[0], axis=Axis(np.sqrt)).signature)


def test_entries_that_give_no_weights_or_positions_are_refused(registered: Any) -> None:
    registered(RULES, "half", lambda x: np.full(len(x), 0.1))
    with pytest.raises(CurveError, match=r"rule 'half' gives the weights \[0.1, 0.1\] for 2 ranks"):
        aurac.compute({1: 0.2, 2: 0.4}, rule="half")
    registered(AXES, "falling", lambda ranks: -ranks)
    with pytest.raises(CurveError, match=r"the falling axis does not increase from rank 1 \(-1\) to rank 2 \(-2\)"):
        aurac.compute({1: 0.2, 2: 0.4}, axis="falling")
    registered(AXES, "short", lambda ranks: ranks[:1])
    with pytest.raises(CurveError, match=r"the short axis gives \[1.0\] for the ranks \[1.0, 2.0\]"):
        aurac.compute({1: 0.2, 2: 0.4}, axis="short")


def test_a_cost_from_outside_is_an_axis_like_the_others(registered: Any, runs: list[Run]) -> None:
    energy = Cost(lambda run: {rank: 3.0 * rank**2 for rank in run.ranks}, "the energy of a token", "energy (mJ)")
    registered(COSTS, "energy", energy)
    comparison = compare(runs, axis="energy")
    assert "over the energy of a token and divided" in comparison.prose()
    assert "|at:3-12-48-192|" in comparison.to_markdown()
    assert plot_curves(runs, axis="energy").get_xlabel() == "energy (mJ)"
    assert plot_pareto(runs, cost="energy").get_xlabel() == "energy (mJ)"


def test_a_method_from_outside_brings_its_look(registered: Any, make_run: Make) -> None:
    registered(LOOKS, "tail", Look("tab:pink", "h", (0, (2, 2))))
    runs = [make_run(name, curve("arc", k)) for k, name in enumerate(("lora", "tail-seed-1"))]
    drawn = {line.get_label(): line for line in plot_curves(runs).lines}
    assert (drawn["tail-seed-1"].get_color(), drawn["tail-seed-1"].get_marker()) == ("tab:pink", "h")
    looks = [entry["look"] for entry in explorer_data(compare(runs))["curves"]]
    assert COLOURS[looks[[run.name for run in compare(runs).ordered()].index("tail-seed-1")]] == "#CC79A7"  # the pink
