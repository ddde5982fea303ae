from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, RefusedError
from aurac.quadrature import weights
from aurac.statistics.bca import bca_interval
from aurac.statistics.estimate import Estimate
from aurac.statistics.intervals import estimate_mean, mean_interval, per_document, t_interval, wilson_interval
from aurac.statistics.refused import REFUSED, refuse
from aurac.statistics.resample import acceleration, bootstrap_means, unique_rows
from tolerance import assert_near, near

values = st.lists(st.floats(0, 1), min_size=3, max_size=30).map(np.array)


@given(values)
def test_the_mean_its_error_and_its_t_interval_are_scipys(a: np.ndarray) -> None:
    estimate = estimate_mean(a)
    assert estimate.stderr == near(scipy.stats.sem(a))
    interval = t_interval(estimate)
    if np.ptp(a) > 1e-9:
        expected = scipy.stats.ttest_1samp(a, 0).confidence_interval()
        assert (interval.low, interval.high) == near((expected.low, expected.high))


@given(values)
def test_clusters_of_one_document_give_the_plain_error(a: np.ndarray) -> None:
    assert estimate_mean(a, clusters=list(range(len(a)))).stderr == near(estimate_mean(a).stderr)


def test_the_clustered_error_is_liang_and_zegers() -> None:
    # residuals -1/2 -1/2 | 1/2 1/2 | 1/2 -1/2: cluster sums -1, 1, 0; sqrt(3/2 * 2) / 6
    estimate = estimate_mean([0, 0, 1, 1, 1, 0], clusters=["x", "x", "y", "y", "z", "z"])
    assert (estimate.stderr, estimate.df) == (pytest.approx(np.sqrt(3) / 6), 2)


def test_the_per_document_scores_are_the_reference_ones(oracles: dict[str, Any], e1: RankAccuracyCurve) -> None:
    assert e1.scores is not None
    for axis, key in (("linear", "v1"), ("log2", "v2")):
        expected = oracles["E1"][key]
        found = per_document(e1.scores, weights(e1.ranks, axis))
        assert_near(found, expected["per_document"] if "per_document" in expected else expected["per_doc"])


def test_the_effective_number_of_documents_is_the_reference_one(oracles: dict[str, Any], e1: RankAccuracyCurve) -> None:
    assert e1.scores is not None
    estimate = estimate_mean(per_document(e1.scores, weights(e1.ranks)))
    m, se = estimate.value, estimate.stderr
    assert m * (1 - m) / se**2 == pytest.approx(oracles["E7"]["n_eff"], rel=1e-9)
    assert (se / oracles["E1"]["v2"]["naive_se"]) ** 2 == pytest.approx(oracles["E7"]["design_effect_v2"], rel=1e-9)


def test_wilson_is_scipys_when_the_effective_number_is_the_number_of_documents() -> None:
    # SE^2 = m(1-m)/n with n = 40, m = 0.3
    interval = wilson_interval(Estimate(0.3, np.sqrt(0.3 * 0.7 / 40), 39), 40, confidence_level=0.9)
    expected = scipy.stats.binomtest(12, 40).proportion_ci(0.9, method="wilson")
    assert (interval.low, interval.high) == near((expected.low, expected.high))


@given(st.floats(0, 1), st.floats(0, 1))
def test_wilson_stays_inside_0_and_1_and_holds_the_mean(m: float, share: float) -> None:
    # Ten scores in [0, 1] have SE^2 <= m(1-m) / 9.
    interval = wilson_interval(Estimate(m, share * np.sqrt(m * (1 - m) / 9), 9), 10)
    assert 0 <= interval.low <= m + 1e-9
    assert m - 1e-9 <= interval.high <= 1


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=12, max_size=40).filter(lambda a: len(set(a)) > 1))
def test_bca_is_scipys_but_for_the_random_numbers(a: list[float]) -> None:
    ours = bca_interval(a, n_resamples=20_000, rng=np.random.default_rng(1))
    theirs = scipy.stats.bootstrap((a,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2)).confidence_interval
    # Resampled means lie on a lattice with steps of up to 1/n; an end may fall on either side of a step.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1.01 / len(a))


def test_bca_of_smooth_data_is_scipys_to_three_digits() -> None:
    a = np.random.default_rng(0).gamma(2, size=60)
    ours = bca_interval(a, n_resamples=200_000, rng=np.random.default_rng(1))
    theirs = scipy.stats.bootstrap((a,), np.mean, n_resamples=200_000, batch=10_000, rng=np.random.default_rng(2))
    expected = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), rel=2e-3)  # both drew


def test_bca_of_e2_is_the_reference_one(oracles: dict[str, Any]) -> None:
    d = np.array(oracles["E2"]["d"])
    interval = bca_interval(d, rng=np.random.default_rng(12345))
    assert (interval.low, interval.high) == near(oracles["E2"]["boot"]["BCa"])
    rows, counts = unique_rows(d[:, None])
    assert acceleration(rows[:, 0], counts) == pytest.approx(oracles["E2"]["bca_accel"], rel=1e-9)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    a = np.random.default_rng(0).random(50)
    one, same, other = (bca_interval(a, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert bca_interval(a) == bca_interval(a)


@pytest.mark.parametrize("n", [60, 600])
def test_resampling_distinct_rows_is_resampling_documents(n: int) -> None:
    # 600 documents of 8 patterns are drawn as counts, 60 one by one.
    rng = np.random.default_rng(3)
    scores = (rng.random((n, 3)) < [0.3, 0.5, 0.7]).astype(float)
    rows, counts = unique_rows(scores)
    assert counts.sum() == n
    assert len(rows) <= 8
    means = bootstrap_means(rows, counts, n_resamples=40_000, rng=rng)
    # 3 standard errors of 40000 draws and more, of a mean and of a variance.
    np.testing.assert_allclose(means.mean(axis=0), scores.mean(axis=0), rtol=0.01, atol=0.002)
    np.testing.assert_allclose(np.cov(means.T), np.cov(scores.T, ddof=0) / n, rtol=0.05, atol=1e-5)


def test_equal_values_have_no_spread_whatever_their_rounding() -> None:
    assert estimate_mean([0.1] * 7).stderr == 0
    assert estimate_mean([0.1] * 7, clusters=list("aabbccc")).stderr == 0


def test_an_interval_without_spread_is_a_point_for_t_and_an_error_for_bca() -> None:
    interval = mean_interval([0.1] * 7, ci="t")
    assert (interval.low, interval.high) == (pytest.approx(0.1), pytest.approx(0.1))
    with pytest.raises(CurveError, match=r"bootstrap shows no spread. Use ci='wilson' or 't'"):
        bca_interval([0.1] * 7)


def test_one_document_has_no_error() -> None:
    with pytest.raises(CurveError, match="1 document has no spread"):
        estimate_mean([0.5])


@pytest.mark.parametrize("name", REFUSED)
def test_everything_refused_says_why_and_what_to_use(name: str) -> None:
    with pytest.raises(RefusedError, match=f"'{name}' is refused: .* (Use|Keep) "):
        refuse(name)
