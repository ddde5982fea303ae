"""Several methods: adjustment, tiers, all pairs, means over tasks, tasks as blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError, RefusedError
from aurac.statistics.estimate import Estimate
from aurac.statistics.intervals import t_interval
from aurac.statistics.macro import macro_difference, macro_interval, macro_mean, macro_stderr
from aurac.statistics.multiplicity import adjust, holm
from aurac.statistics.over_tasks import friedman, over_tasks
from aurac.statistics.paired import paired_difference
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
    macro = macro_difference([one])
    assert (macro.value, macro.stderr, macro.p_value) == pytest.approx((one.value, one.stderr, one.p_value))
    assert (macro.interval.low, macro.interval.high) == pytest.approx((one.interval.low, one.interval.high))


def test_a_task_on_which_nothing_varies_widens_the_interval_of_the_mean_by_what_its_documents_leave_open() -> None:
    spread, flat = Estimate(0.5, 0.03, 99), Estimate(0.0, 0.0, 63)
    found = macro_interval([spread, flat], [100, 64])
    half = scipy.stats.t.ppf(1 - 0.05 / 4, 99) * 0.03  # two parts share 5 %, each on two sides
    none_of_64 = scipy.stats.binomtest(0, 64).proportion_ci(0.975).high
    assert (found.low, found.high) == pytest.approx(((0.5 - half) / 2, (0.5 + half + none_of_64) / 2))
    assert found.method == "t and binomial"


def test_without_such_a_task_the_interval_of_the_mean_is_the_t_interval() -> None:
    parts = [Estimate(0.5, 0.03, 99), Estimate(0.2, 0.04, 63)]
    assert macro_interval(parts, [100, 64]) == t_interval(macro_mean(parts))


def test_the_difference_of_a_mean_over_tasks_is_not_exact_where_no_document_differs() -> None:
    same = RankAccuracyCurve.from_scores([1, 2], [[0, 1]] * 40, documents=[f"d{i}" for i in range(40)])
    d = paired_difference(same, same)
    assert macro_difference([d, d]).interval.high == pytest.approx(1 - 0.0125 ** (1 / 40))


def test_friedman_is_scipys_and_the_critical_difference_the_reference_one(oracles: dict[str, Any]) -> None:
    expected, found = oracles["E4"], friedman(E4)
    assert found.mean_ranks == pytest.approx(expected["mean_rank"], rel=1e-9)
    assert (found.chi2, found.p_chi2) == pytest.approx((expected["friedman_chi2"], expected["friedman_p"]), rel=1e-9)
    assert (found.f, found.p_f) == pytest.approx((expected["iman_davenport_F"], expected["iman_davenport_p"]), rel=1e-9)
    assert found.critical_difference == pytest.approx(expected["nemenyi_CD"], rel=1e-7)
    assert friedman(-E4, higher_is_better=False).chi2 == found.chi2


def test_friedman_with_ties_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (8, 4)).astype(float)
    expected = scipy.stats.friedmanchisquare(*x.T)
    assert (friedman(x).chi2, friedman(x).p_chi2) == pytest.approx((expected.statistic, expected.pvalue))


def test_friedman_of_equal_or_agreeing_tasks_is_no_nan() -> None:
    equal = friedman(np.ones((5, 3)))
    assert (equal.chi2, equal.p_chi2, equal.f, equal.p_f) == (0.0, 1.0, 0.0, 1.0)
    agreeing = friedman(np.tile([3.0, 2.0, 1.0], (5, 1)))
    assert (agreeing.f, agreeing.p_f) == (float("inf"), 0.0)


def test_too_few_tasks_are_no_sample() -> None:
    with pytest.raises(CurveError, match="at least 5 tasks and 3 methods; for fewer use paired tests on documents"):
        friedman(E4[:4])
    with pytest.raises(CurveError, match=r"4 task values. Tasks as a sample need at least 5; use tasks as strata"):
        over_tasks([1, 2, 3, 4])
    interval = over_tasks(E4[:, 0])
    expected = scipy.stats.ttest_1samp(E4[:, 0], 0).confidence_interval()
    assert (interval.low, interval.high, interval.target) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
        "tasks",
    )
