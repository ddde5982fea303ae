"""How many documents an interval needs, how audits are divided, and what they estimate."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.part import Part
from aurac.errors import CurveError
from aurac.statistics.audit import allocate, expanded, spreads, strata
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.part_of_documents import documents_needed, estimate_part

HALVES = [0.0, 1.0] * 50


@pytest.mark.parametrize(
    ("n_total", "points", "share"),
    [(1172, 1, 0.87), (1172, 2, 0.62), (2376, 2, 0.45), (10042, 1, 0.44), (10042, 2, 0.16)],
)
def test_shares_are_those_of_the_study_at_a_spread_of_45_points(n_total: int, points: int, share: float) -> None:
    scores = 0.5 + 0.45 * (np.array(HALVES) - 0.5) * 2 * math.sqrt(99 / 100)  # a sample deviation of .45
    # The study has 1.96 for t at 99 degrees of freedom, 1.984, which asks up to 2.5 % more.
    assert documents_needed(scores, n_total, points / 100) / n_total == pytest.approx(share, rel=0.04)


def test_so_many_documents_give_the_half_width_and_one_fewer_does_not() -> None:
    t, s = stats.t.ppf(0.975, 99), np.std(HALVES, ddof=1)
    n = documents_needed(HALVES, 5000, 0.03)
    half = [t * s * math.sqrt((1 - k / 5000) / k) for k in (n - 1, n)]
    assert half[0] > 0.03 >= half[1]


def test_all_documents_leave_no_error_about_the_benchmark() -> None:
    assert estimate_part([0.0, 1.0, 1.0], 3).stderr == 0.0


def test_the_error_of_a_part_is_that_of_all_parts_of_its_size() -> None:
    benchmark = np.array([0.0, 0.2, 0.9, 1.0, 1.0, 0.4])
    parts = [benchmark[list(rows)] for rows in combinations(range(6), 4)]
    of_means = np.var([part.mean() for part in parts])
    assert np.mean([estimate_part(part, 6).stderr ** 2 for part in parts]) == pytest.approx(of_means, rel=1e-9)


@pytest.mark.parametrize("half_width", [0.0, -1.0, math.nan])
def test_half_widths_that_are_not_positive_are_refused(half_width: float) -> None:
    with pytest.raises(CurveError, match=r"a half-width of .* is not positive\. Give one such as 0\.01"):
        documents_needed(HALVES, 1000, half_width)


def test_more_documents_than_the_benchmark_has_are_no_part() -> None:
    with pytest.raises(CurveError, match="3 documents are no part of 2"):
        estimate_part([0.0, 1.0, 1.0], 2)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0.01, 1.0), st.integers(0, 60)), min_size=1, max_size=5),
    st.integers(0, 3000),
)
def test_audits_sum_to_what_is_wanted_within_the_bounds(strata_: list[tuple[int, float, int]], total: int) -> None:
    sizes, deviations, floors = map(list, zip(*strata_, strict=True))
    counts = allocate(sizes, deviations, total, floors)
    lowest = sum(min(floor, size) for floor, size in zip(floors, sizes, strict=True))
    assert sum(counts) == min(max(total, lowest), sum(sizes))
    assert all(min(f, n) <= count <= n for f, n, count in zip(floors, sizes, counts, strict=True))


@given(st.lists(st.tuples(st.integers(50, 500), st.floats(0.1, 1.0)), min_size=2, max_size=4), st.integers(10, 50))
def test_audits_between_the_bounds_are_proportional_to_size_times_spread(
    strata_: list[tuple[int, float]], total: int
) -> None:
    sizes, deviations = map(list, zip(*strata_, strict=True))
    counts = allocate(sizes, deviations, total, [0] * len(sizes))
    shares = np.multiply(sizes, deviations) / np.dot(sizes, deviations)
    # Of whole numbers none is further from its share than one.
    assert np.abs(np.array(counts) - total * shares).max() <= 1 + 1e-6


def test_an_audit_is_unbiased_over_all_choices_of_documents() -> None:
    anchor, truth = np.array([0.0, 0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.5, 1.0, 1.0, 0.5])
    labels, means = strata(anchor), []
    for lower in combinations(range(3), 2):
        asked = np.isin(np.arange(5), [*lower, 3, 4])
        means.append(expanded(labels, asked, truth[asked][:, None]).mean())
    assert np.mean(means) == pytest.approx(truth.mean(), rel=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_the_spread_of_expanded_scores_is_the_error_of_double_sampling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, y = rng.integers(2, size=60), rng.random(60)
    asked = np.zeros(60, dtype=bool)
    for h in range(2):
        asked[np.flatnonzero(labels == h)[:8]] = True
    z = expanded(labels, asked, y[asked][:, None])[:, 0]
    parts, shares = [y[asked & (labels == h)] for h in range(2)], [np.mean(labels == h) for h in range(2)]
    value = sum(w * p.mean() for w, p in zip(shares, parts, strict=True))
    audited = sum(w**2 * p.var(ddof=1) / len(p) for w, p in zip(shares, parts, strict=True))
    between = sum(w * (p.mean() - value) ** 2 for w, p in zip(shares, parts, strict=True)) / 60
    assert z.mean() == pytest.approx(value, rel=1e-9)
    assert estimate_mean(z).stderr ** 2 == pytest.approx((audited + between) * 60 / 59, rel=1e-9)


def test_a_stratum_that_was_audited_as_a_whole_keeps_its_scores() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    asked = np.array([True, True, True, True, False])
    assert expanded(labels, asked, np.array([[0.2], [0.4], [0.0], [1.0]]))[:2, 0].tolist() == pytest.approx([0.2, 0.4])


def test_one_audited_document_of_a_stratum_is_refused() -> None:
    with pytest.raises(CurveError, match=r"stratum 0 has 1 audited documents of 3, which show no spread\. Audit more"):
        expanded(np.array([0, 0, 0]), np.array([True, False, False]), np.array([[1.0]]))


def test_a_stratum_without_spread_in_the_pilot_is_audited_all_the_same() -> None:
    alone = spreads([1.0] * 15 + [0.0, 1.0] * 8, np.array([0] * 15 + [1] * 16), 2)
    assert alone[0] == pytest.approx(math.sqrt(0.25 / 17), rel=1e-12)
    with pytest.raises(CurveError, match="a stratum has no spread"):
        allocate([10, 10], [0.0, 1.0], 5, [0, 0])


def test_many_values_make_four_strata() -> None:
    assert np.bincount(strata(np.arange(100) / 100)).tolist() == [25, 25, 25, 25]


def test_a_curve_keeps_its_part_through_selections_and_names() -> None:
    part = Part(10, 2, precision=0.01)
    curve = RankAccuracyCurve.from_scores([1, 2], [[0, 1], [1, 1]], documents=["a", "b"], part=part)
    for made in (curve.select_ranks([2]), curve.select_documents(["b"]), curve.named("x"), curve.without_documents()):
        assert made.part == part
