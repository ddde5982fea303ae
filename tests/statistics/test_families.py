"""Several methods: adjustment, tiers, all pairs, means over tasks."""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError, RefusedError
from aurac.statistics.intervals import estimate_mean, t_interval
from aurac.statistics.macro import macro_mean, macro_stderr
from aurac.statistics.macro_score import macro_score
from aurac.statistics.multiplicity import adjust, holm
from aurac.statistics.paired import macro_difference, paired_difference
from aurac.statistics.pairwise import pairwise
from aurac.statistics.tiers import tiers

E4 = np.array(
    [
        [52.1, 50.4, 47.9, 41.0],
        [61.3, 61.9, 58.8, 55.2],
        [33.7, 32.5, 33.0, 28.4],
        [70.2, 68.8, 66.1, 60.9],
        [45.5, 44.1, 44.9, 39.7],
    ]
)
KEYS = [f"d{i}" for i in range(300)]


def random_curve(seed: int, shift: float) -> RankAccuracyCurve:
    ability = np.random.default_rng(0).random((300, 1))
    noise = np.random.default_rng(seed).normal(0, 0.1, (300, 3))
    return RankAccuracyCurve.from_scores(
        [1, 2, 4], (ability + noise < [0.4 + shift, 0.5 + shift, 0.6 + shift]).astype(float), documents=KEYS
    )


def test_holm_is_the_reference_one(oracles: dict[str, Any]) -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(oracles["E4b"]["holm_01_04_03_005"], rel=1e-9)
    p = [scipy.stats.ttest_rel(E4[:, 0], E4[:, k]).pvalue for k in (1, 2, 3)]
    assert p == pytest.approx(oracles["E4"]["p_vs_first"], rel=1e-9)
    assert adjust(p) == pytest.approx(oracles["E4"]["holm"], rel=1e-9)
    assert scipy.stats.false_discovery_control(p) == pytest.approx(oracles["E4"]["bh"], rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_at_least_the_raw_value_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(p)] == sorted(adjusted)


def test_adjustments_are_named_or_refused() -> None:
    assert adjust([0.01, 0.5], "none") == [0.01, 0.5]
    with pytest.raises(RefusedError, match=r"unpaired samples. Use paired tests with adjust='holm'"):
        adjust([0.01], "tukey")
    with pytest.raises(CurveError, match=r"p-value 1.5 is not between 0 and 1"):
        adjust([1.5])


def test_places_count_who_is_surely_better_and_surely_worse() -> None:
    values = {"a": 0.5, "b": 0.6, "c": 0.4}
    p = {("a", "b"): 0.3, ("c", "b"): 0.01, ("a", "c"): 0.05}
    made = tiers(values, p)
    assert made.order == ("b", "a", "c")
    assert made.places == {"b": (1, 2), "a": (1, 2), "c": (3, 3)}
    assert (made.label("b"), made.label("c")) == ("1-2 tied", "3")
    assert made.cliques == (("b", "a"),)
    worse = tiers(values, p, higher_is_better=False)
    assert worse.places == {"c": (1, 1), "a": (2, 3), "b": (2, 3)}


def test_without_a_difference_everyone_is_tied() -> None:
    made = tiers({"a": 0.5, "b": 0.5, "c": 0.5}, {("a", "b"): 1.0, ("a", "c"): 1.0, ("b", "c"): 1.0})
    assert {made.label(name) for name in "abc"} == {"1-3 tied"}
    assert made.cliques == (("a", "b", "c"),)


def test_groups_that_no_test_tells_apart_may_leave_out_one_that_stands_between() -> None:
    """The second is told apart from the first by a test of its own, the third, further away, is not."""
    p = {("a", "b"): 0.01, ("a", "c"): 0.2, ("b", "c"): 0.3, ("a", "d"): 0.4, ("b", "d"): 0.04, ("c", "d"): 0.5}
    made = tiers({"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, p)
    assert made.cliques == (("a", "c", "d"), ("b", "c"))
    assert made.places == {"a": (1, 3), "b": (2, 3), "c": (1, 4), "d": (2, 4)}


@given(st.integers(1, 7), st.randoms(use_true_random=False))
def test_groups_are_all_sets_without_a_differing_pair_that_no_other_holds(n: int, random: Random) -> None:
    names = "abcdefg"[:n]
    p = {pair: random.choice([0.01, 0.5]) for pair in combinations(names, 2)}
    sets = [
        frozenset(some)
        for size in range(2, n + 1)
        for some in combinations(names, size)
        if all(p[pair] > 0.05 for pair in combinations(some, 2))
    ]
    largest = {some for some in sets if not any(some < other for other in sets)}
    made = tiers({name: -place for place, name in enumerate(names)}, p).cliques
    assert {frozenset(clique) for clique in made} == largest
    assert len(made) == len(largest)
    assert list(made) == sorted(made)
    assert all(list(clique) == sorted(clique) for clique in made)


def test_all_pairs_are_one_family() -> None:
    curves = {"a": random_curve(1, 0.2), "b": random_curve(2, 0.0), "c": random_curve(3, 0.0)}
    made = pairwise(curves, axis="linear")
    assert set(made.differences) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert list(made.p_adjusted.values()) == holm([d.p_value for d in made.differences.values()])
    assert made.values["a"] == curves["a"].area(axis="linear")
    alone = paired_difference(curves["b"], curves["c"], axis="linear", rng=np.random.default_rng(12345))
    assert made.differences["b", "c"].p_value == alone.p_value
    found = made.tiers()
    assert [found.label(name) for name in found.order] == ["1", "2-3 tied", "2-3 tied"]
    fewer = curves | {"c": curves["c"].select_documents(KEYS[:200])}
    with pytest.raises(ComparisonError, match="100 of 300 documents of a curve are not in every run"):
        pairwise(fewer)
    dropped = pairwise(fewer, missing="drop")
    assert dropped.values["a"] == curves["a"].select_documents(KEYS[:200]).area()
    assert dropped.differences["a", "b"].n_documents == 200
    with pytest.raises(ComparisonError, match="1 curve makes no pair"):
        pairwise({"a": curves["a"]})


def test_the_macro_error_is_the_reference_one(oracles: dict[str, Any]) -> None:
    assert macro_stderr([1.4, 0.5, 1.1, 0.9, 1.2]) == pytest.approx(oracles["E4b"]["macro_se"], rel=1e-9)
    assert E4.mean(axis=0) == pytest.approx(oracles["E4"]["macro"], rel=1e-9)


def test_the_macro_difference_of_one_task_is_that_task() -> None:
    one = paired_difference(random_curve(1, 0.1), random_curve(2, 0.0))
    macro = macro_difference([one], rng=np.random.default_rng(12345))
    assert (macro.value, macro.stderr, macro.p_value) == pytest.approx((one.value, one.stderr, one.p_value))
    assert (macro.interval.low, macro.interval.high) == pytest.approx((one.interval.low, one.interval.high))


def test_a_task_on_which_nothing_varies_widens_the_interval_of_the_mean_by_what_its_documents_leave_open() -> None:
    rng = np.random.default_rng(0)
    spread = RankAccuracyCurve.from_scores([1], rng.integers(0, 2, (400, 1)))
    flat = RankAccuracyCurve.from_scores([1], np.zeros((64, 1)))
    _, found = macro_score([spread, flat], [np.ones(1)] * 2)
    alone = t_interval(estimate_mean(spread.scores[:, 0]))  # type: ignore[index]
    # 64 documents without one that is right leave open up to 64 / (64 + 1.96^2) at 95 %, half of it in the mean.
    assert alone.high / 2 < found.high < (alone.high + 1.96**2 / (64 + 1.96**2)) / 2 + 1e-9
    assert found.low < alone.low / 2 + 1e-3
    assert found.method == "score"


def test_away_from_the_ends_the_interval_of_the_mean_is_the_t_interval() -> None:
    curves = [random_curve(seed, 0.0) for seed in (1, 2)]
    w = np.array([0.25, 0.5, 0.25])
    estimate, interval = macro_score(curves, [w, w])
    expected = macro_mean([estimate_mean(c.scores @ w) for c in curves if c.scores is not None])
    assert (estimate, interval) == (expected, t_interval(expected))


def test_the_difference_of_a_mean_over_tasks_is_not_exact_where_no_document_differs() -> None:
    same = RankAccuracyCurve.from_scores([1, 2], [[0, 1]] * 40, documents=[f"d{i}" for i in range(40)])
    d = paired_difference(same, same)
    # Two tasks of 40 documents are 80 documents: 1.96^2 / (80 + 1.96^2), Wilson's upper end for none of 80.
    none_of_80 = scipy.stats.binomtest(0, 80).proportion_ci(0.95, "wilson").high
    assert macro_difference([d, d]).interval.high == pytest.approx(none_of_80, rel=1e-9)


def test_two_seeds_make_pairs_without_a_test() -> None:
    def method(name: str) -> RankAccuracyCurve:
        return RankAccuracyCurve.from_seeds([random_curve(seed, 0.0) for seed in (1, 2)], ["1", "2"], name=name)

    made = pairwise({"a": method("a"), "b": method("b")}, target="docs+seeds")
    assert made.p_adjusted == {}
    assert made.differences["a", "b"].p_value is None
