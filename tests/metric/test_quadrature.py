from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from aurac.errors import CurveError, RefusedError, UnknownNameError
from aurac.quadrature import AXES, RULES, effective_ranks, weights
from tolerance import assert_near, near

GRIDS = {
    "W_1_128": [1, 2, 4, 8, 16, 32, 64, 128],
    "W_8_128": [8, 16, 32, 64, 128],
    "W_1_256": [1, 2, 4, 8, 16, 32, 64, 128, 256],
}
grids = st.lists(st.integers(1, 1024), min_size=2, max_size=12, unique=True).map(sorted)
axes = st.sampled_from(sorted(AXES))
PLAIN_RULES = sorted(set(RULES) - {"prior"})


def authors_version_1(ranks: list[int], accuracies: np.ndarray) -> float:
    """arXiv 2605.07850, first version: mean height of each segment times its width, over the range of ranks."""
    area = sum((ranks[k + 1] - ranks[k]) * (accuracies[k] + accuracies[k + 1]) / 2 for k in range(len(ranks) - 1))
    return area / (ranks[-1] - ranks[0])


@pytest.mark.parametrize("name", GRIDS)
def test_weights_of_the_usual_grids_are_the_reference_ones(name: str, oracles: dict[str, Any]) -> None:
    expected = oracles[name]
    for axis, key in (("linear", "v1"), ("log2", "v2")):
        w = weights(GRIDS[name], axis)
        assert_near(w, expected[key])
        assert effective_ranks(w) == near(expected[f"neff_{key}"])


@given(grids, st.data())
def test_trapezoid_is_the_formula_of_the_authors_on_both_axes(ranks: list[int], data: st.DataObject) -> None:
    accuracies = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(ranks), max_size=len(ranks))))
    assert weights(ranks, "linear") @ accuracies == near(authors_version_1(ranks, accuracies))
    on_log = authors_version_1(list(np.log2(ranks)), accuracies)
    assert weights(ranks, "log2") @ accuracies == near(on_log)


@given(grids, axes, st.sampled_from(PLAIN_RULES))
def test_weights_sum_to_one(ranks: list[int], axis: str, rule: str) -> None:
    if rule != "simpson":  # which is refused where a weight is negative
        assert weights(ranks, axis, rule).sum() == near(1)


def test_a_rule_with_a_negative_weight_is_refused_with_the_ranks_named() -> None:
    # log2: 0, 1, 7. Simpson on such uneven steps weighs rank 1 by -0.83, and {1: 0, 2: 1, 128: 0} would score 1.36.
    with pytest.raises(
        RefusedError, match=r"rule 'simpson' gives rank 1 a negative weight on the log2 axis.*trapezoid"
    ):
        weights([1, 2, 128], rule="simpson")
    with pytest.raises(RefusedError, match="gives rank 128 a negative weight"):
        weights([1, 64, 128], rule="simpson")


def extrapolated(x: np.ndarray) -> np.ndarray:
    return np.append(np.zeros(len(x) - 2), [1.5, -0.5])


def test_a_rule_from_outside_is_refused_for_its_negative_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES._entries, "own", f"{__name__}:extrapolated")  # as an installed package adds it
    with pytest.raises(RefusedError, match="rule 'own' gives rank 2 a negative weight on the linear axis"):
        weights([1, 2], "linear", "own")


@given(grids, axes)
def test_trapezoid_is_the_mean_of_left_and_right(ranks: list[int], axis: str) -> None:
    mean = (weights(ranks, axis, "left") + weights(ranks, axis, "right")) / 2
    np.testing.assert_array_equal(weights(ranks, axis), mean)


@given(grids, axes, st.data())
def test_a_growing_curve_lies_between_left_and_right(ranks: list[int], axis: str, data: st.DataObject) -> None:
    curve = np.sort(data.draw(st.lists(st.floats(0, 1), min_size=len(ranks), max_size=len(ranks))))
    left, middle, right = (weights(ranks, axis, rule) @ curve for rule in ("left", "trapezoid", "right"))
    assert left <= middle + 1e-12
    assert middle <= right + 1e-12


@given(grids, axes, st.data())
def test_partial_areas_add_up_to_the_whole(ranks: list[int], axis: str, data: st.DataObject) -> None:
    cut = data.draw(st.floats(ranks[0], ranks[-1]))
    phi = AXES[axis](np.array([ranks[0], cut, ranks[-1]], dtype=float))
    parts = weights(ranks, axis, within=(ranks[0], cut)) * (phi[1] - phi[0])
    parts = parts + weights(ranks, axis, within=(cut, ranks[-1])) * (phi[2] - phi[1])
    assert_near(parts / (phi[2] - phi[0]), weights(ranks, axis))


@given(grids, axes)
def test_an_interpolated_rank_between_two_changes_no_trapezoid(ranks: list[int], axis: str) -> None:
    accuracies = np.linspace(0.3, 0.6, len(ranks)) ** 2
    middle = (ranks[0] + ranks[1]) // 2
    if middle in ranks:
        return
    x, grid = AXES[axis](np.array(ranks, dtype=float)), sorted([*ranks, middle])
    finer = np.interp(AXES[axis](np.array(grid, dtype=float)), x, accuracies)
    assert weights(grid, axis) @ finer == near(weights(ranks, axis) @ accuracies)


@given(grids, axes, st.data())
def test_an_isotonic_fit_with_the_same_weights_keeps_the_area(ranks: list[int], axis: str, data: st.DataObject) -> None:
    accuracies = data.draw(st.lists(st.floats(0, 1), min_size=len(ranks), max_size=len(ranks)))
    w = weights(ranks, axis)
    fit = scipy.optimize.isotonic_regression(accuracies, weights=w)
    assert w @ fit.x == near(w @ np.array(accuracies))


def test_partial_ranges_are_the_reference_ones(oracles: dict[str, Any]) -> None:
    ranks, accuracies, e1 = [1, 2, 4, 8], np.array([0.25, 0.375, 0.5, 0.75]), oracles["E1"]
    assert weights(ranks, "linear", within=(2, 4)) @ accuracies == near(e1["partial_2_4_v1"])
    assert weights(ranks, "linear", within=(3, 6)) @ accuracies == near(e1["partial_3_6_v1"])
    assert_near(weights(ranks, "log2", within=(3, 6)), e1["partial_3_6_v2_w"])
    for axis, key in (("linear", "v1"), ("log2", "v2")):
        point = weights(ranks, axis, within=(3, 3)) @ accuracies
        assert point == near(e1[f"point_3_{key}"])


def test_simpson_on_log2_is_scipys_on_the_identity(oracles: dict[str, Any]) -> None:
    assert_near(weights([1, 2, 4, 8], rule="simpson"), oracles["E1"]["simpson_log2"]["w"])


def test_a_prior_is_the_deployment_mix() -> None:
    # 3 of 4 requests at rank 1: (3/4, 0, 1/4)
    expected = [0.75, 0.0, 0.25]
    assert weights([1, 2, 4], rule="prior", prior={4: 1, 1: 3, 2: 0}).tolist() == expected
    assert weights([1, 2, 4], rule="prior", prior=[3, 0, 1]).tolist() == expected
    np.testing.assert_allclose(weights([1, 2, 4], rule="uniform"), weights([1, 2, 4], rule="prior", prior=[1, 1, 1]))


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"prior"}))
@pytest.mark.parametrize("axis", AXES)
def test_one_rank_has_weight_one(rule: str, axis: str) -> None:
    if (axis, rule) != ("linear", "simpson"):
        assert weights([64], axis, rule).tolist() == [1.0]


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([0, 2], "rank 0 is not positive; ranks count from 1. Leave it out; in Python base= takes"),
        ([-1, 2], "rank -1 is not positive"),
        ([1, 2.5], "rank 2.5 is not a whole number"),
        ([1, float("nan")], "rank nan is not a whole number"),
        ([1, 2, 2], "rank 2 occurs twice"),
        ([1, 4, 2], "ranks are not increasing: 4 comes before 2. Sort them"),
        ([], "at least one; got shape"),
        (["a"], "ranks must be positive whole numbers"),
    ],
)
def test_bad_ranks_say_which_and_why(ranks: list[Any], message: str) -> None:
    with pytest.raises(CurveError, match=message):
        weights(ranks)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"axis": "linear", "rule": "simpson"}, RefusedError, "oscillate .* Use axis='log2'"),
        ({"rule": "running-max"}, RefusedError, "biased upwards. Use rule='trapezoid'"),
        ({"axis": "log"}, UnknownNameError, "unknown axis 'log'. Did you mean 'log2'"),
        ({"rule": "trapez"}, UnknownNameError, "Did you mean 'trapezoid'"),
        ({"rule": "prior"}, CurveError, "Give prior= with rule='prior', only"),
        ({"prior": [1, 1, 1]}, CurveError, "Give prior= with rule='prior', only"),
        ({"rule": "prior", "prior": {1: 1}}, CurveError, r"prior names the ranks \[1\], the curve has \[1, 2, 4\]"),
        ({"rule": "prior", "prior": [1, 1]}, CurveError, "prior has 2 numbers for 3 ranks"),
        ({"rule": "prior", "prior": [1, -1, 1]}, CurveError, "non-negative numbers, not all 0"),
        ({"rule": "prior", "prior": [0, 0, 0]}, CurveError, "non-negative numbers, not all 0"),
        ({"within": (1, 8)}, CurveError, r"range 1..8 is not inside the measured ranks 1..4, and .* not extrapolated"),
        ({"within": (4, 2)}, CurveError, "not inside the measured ranks"),
        ({"within": (1, 2), "rule": "left"}, CurveError, "a partial range needs rule 'trapezoid', not 'left'"),
    ],
)
def test_bad_options_say_which_and_why(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        weights([1, 2, 4], **options)
