from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError, RefusedError, UnknownNameError
from aurac.statistics.alignment import align
from aurac.statistics.paired import paired_difference
from aurac.statistics.sign_flip import sign_flip_p
from statistics_cases import curve
from tolerance import assert_near, near

Pair = tuple[RankAccuracyCurve, RankAccuracyCurve]


def test_the_difference_of_e2_is_the_reference_one(e2: Pair, oracles: dict[str, Any]) -> None:
    expected = oracles["E2"]
    d = paired_difference(*e2, ci="t")
    assert e2[0].area() == near(expected["aurac_a"])
    assert e2[1].area() == near(expected["aurac_b"])
    assert d.value == near(expected["delta"])
    assert d.stderr == near(expected["se"])
    assert (d.interval.low, d.interval.high) == near(expected["ci_t"])
    assert d.p_value == expected["p_perm_exact"]
    assert_near(d.differences, expected["d"])
    assert (d.higher, d.equal, d.lower) == (8, 4, 0)
    assert paired_difference(*e2, ci="t", test="t").p_value == pytest.approx(expected["p_t"], rel=1e-9)


def test_paired_t_is_scipys(e2: Pair) -> None:
    w = np.array([1, 2, 2, 1]) / 6
    assert e2[0].scores is not None
    assert e2[1].scores is not None
    expected = scipy.stats.ttest_rel(e2[0].scores @ w, e2[1].scores @ w)
    d = paired_difference(*e2, ci="t", test="t", confidence_level=0.9)
    assert d.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (d.interval.low, d.interval.high) == pytest.approx(tuple(expected.confidence_interval(0.9)), rel=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=10))
def test_the_exact_sign_flip_is_scipys(d: list[int]) -> None:
    expected = scipy.stats.permutation_test(
        (np.array(d, dtype=float),), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    if any(d):
        assert sign_flip_p(d) == near(expected)
    else:
        assert sign_flip_p(d) == 1.0


@pytest.mark.parametrize("kind", ["few distinct", "all distinct"])
def test_random_flips_estimate_the_exact_p_value(kind: str) -> None:
    rng = np.random.default_rng(5)
    d = rng.integers(-1, 3, 12).astype(float) if kind == "few distinct" else rng.normal(0.4, 1, 12)
    exact = sign_flip_p(d, n_resamples=5000)
    random = sign_flip_p(d, n_resamples=4000, rng=np.random.default_rng(1))  # 2^12 > 4000 unless there are zeros
    assert random == pytest.approx(exact, rel=1e-6, abs=4 * np.sqrt(exact / 4000))  # 4 standard errors


def test_the_smallest_random_p_value_is_one_over_resamples_plus_one() -> None:
    assert sign_flip_p(np.ones(100), n_resamples=999) == 1 / 1000


def test_identical_methods_have_no_difference_and_p_one(e2: Pair) -> None:
    d = paired_difference(e2[0], e2[0])
    assert (d.value, d.stderr, d.p_value) == (0.0, 0.0, 1.0)
    none_of_12 = scipy.stats.binomtest(0, 12).proportion_ci(0.95, "wilson").high
    assert (d.interval.low, d.interval.high) == pytest.approx((-none_of_12, none_of_12))
    assert (d.higher, d.equal, d.lower) == (0, 12, 0)
    assert paired_difference(e2[0], e2[0], test="t", ci="bca").p_value == 1.0


def test_all_right_against_all_wrong_is_certain_without_a_nan() -> None:
    right, wrong = curve("1111 " * 12), curve("0000 " * 12)
    d = paired_difference(right, wrong)
    # Flipping 12 documents gives 2 / 2^12; McNemar's test, which belongs to the score interval, z = sqrt(12).
    mcnemar = 2 * scipy.stats.norm.sf(12**0.5)
    assert (d.value, d.stderr, d.p_value) == pytest.approx((1.0, 0.0, max(2 / 2**12, mcnemar)), rel=1e-9)
    assert paired_difference(right, wrong, test="t").p_value == pytest.approx(mcnemar, rel=1e-9)


def binary(wins: int, losses: int, n: int, level: float = 0.5) -> Pair:
    """Two runs at one rank on n documents, of which this many are won and lost; the others right up to `level`."""
    right = round(level * n)
    both = [[1, 0]] * wins + [[0, 1]] * losses + [[1, 1]] * (right - wins) + [[0, 0]] * (n - right - losses)
    a, b = (np.array(both, dtype=float)[:, [column]] for column in (0, 1))
    keys = [f"d{i}" for i in range(n)]
    return RankAccuracyCurve.from_scores([8], a, documents=keys), RankAccuracyCurve.from_scores([8], b, documents=keys)


def tango(wins: int, losses: int, n: int, critical: float) -> tuple[float, float]:
    """Tango's (1998) interval, from his closed form of the constrained estimate."""

    def z(delta: float) -> float:
        a, b, c = 2 * n, -wins - losses + (2 * n - wins + losses) * delta, -losses * delta * (1 - delta)
        q = (np.sqrt(b * b - 4 * a * c) - b) / (2 * a)
        return float((wins - losses - n * delta) / np.sqrt(n * (2 * q + delta * (1 - delta))))

    estimate = (wins - losses) / n
    low = scipy.optimize.brentq(lambda d: z(d) - critical, -1 + 1e-9, estimate - 1e-9)
    high = scipy.optimize.brentq(lambda d: z(d) + critical, estimate + 1e-9, 1 - 1e-9)
    return float(low), float(high)


@pytest.mark.parametrize(("wins", "losses", "n"), [(9, 3, 100), (0, 5, 200), (1, 1, 40), (30, 12, 90), (7, 0, 25)])
def test_the_score_interval_of_right_and_wrong_answers_is_tangos(wins: int, losses: int, n: int) -> None:
    d = paired_difference(*binary(wins, losses, n), ci="score", test="score")
    assert (d.interval.low, d.interval.high) == pytest.approx(tango(wins, losses, n, 1.959963984540054), rel=1e-6)
    # At a difference of 0 it is McNemar's test.
    z = (wins - losses) / np.sqrt(wins + losses)
    assert d.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-9)
    assert (d.interval.method, d.test) == ("score", "score")


@pytest.mark.parametrize(
    ("wins", "losses", "level", "method"),
    [(30, 20, 0.5, "t"), (9, 30, 0.5, "score"), (0, 30, 0.5, "score"), (30, 20, 0.96, "score"), (3, 2, 0.5, "score")],
)
def test_the_score_interval_is_the_default_where_few_differ_or_a_score_is_near_an_end(
    wins: int, losses: int, level: float, method: str
) -> None:
    d = paired_difference(*binary(wins, losses, 1200, level), test="auto")
    assert d.interval.method == method
    assert d.test == ("score" if method == "score" else "sign-flip")


@given(st.integers(0, 12), st.integers(0, 12), st.sampled_from([30, 200]), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_interval_and_the_p_value_agree_about_zero(wins: int, losses: int, n: int, level: float) -> None:
    for ci in ("auto", "t", "score"):
        for test in ("auto", "sign-flip", "t", "score"):
            d = paired_difference(*binary(wins, losses, n), ci=ci, test=test, confidence_level=level, n_resamples=999)
            assert d.p_value is not None
            assert (d.p_value > 1 - level) == (d.interval.low <= 0 <= d.interval.high)


def test_an_unbounded_metric_has_no_score_interval() -> None:
    a, b = (
        RankAccuracyCurve.from_scores([1], np.arange(4.0)[:, None] * k, documents=list("abcd"), bounded=False)
        for k in (1, 2)
    )
    assert paired_difference(a, b, test="auto").interval.method == "t"
    with pytest.raises(CurveError, match=r"need scores in .* and this metric is unbounded. Use 't'"):
        paired_difference(a, b, ci="score")


def test_documents_are_joined_by_key_not_by_position(e2: Pair) -> None:
    a, b = e2
    assert b.documents is not None
    shuffled = b.select_documents([b.documents[i] for i in np.random.default_rng(0).permutation(12)])
    assert paired_difference(a, shuffled).differences.tolist() == paired_difference(a, b).differences.tolist()


def test_missing_documents_are_an_error_that_counts_and_shows_them(e2: Pair) -> None:
    a, b = e2
    assert b.documents is not None
    fewer = b.select_documents(b.documents[2:])
    with pytest.raises(ComparisonError, match=r"2 of 12 documents of 'A' are not in every run \(for example t/0\)"):
        paired_difference(a, fewer)
    dropped = paired_difference(a, fewer, missing="drop")
    assert (dropped.n_documents, dropped.n_dropped) == (10, 2)


def test_curves_that_cannot_be_joined_say_why(e2: Pair) -> None:
    a, b = e2
    with pytest.raises(ComparisonError, match="a curve has no per-document scores, so no paired comparison"):
        align([a, RankAccuracyCurve([1, 2, 4, 8], [0.5] * 4)])
    with pytest.raises(ComparisonError, match=r"'A' was scored at ranks 1-2-4-8, 'B' at 1-2. AURACs on different"):
        align([a, b.select_ranks([1, 2])])
    other = RankAccuracyCurve.from_scores(a.ranks, a.scores, documents=[f"x{i}" for i in range(12)], name="C")  # type: ignore[arg-type]
    with pytest.raises(ComparisonError, match="'A' and 'C' have no documents in common"):
        align([a, other])
    metric = RankAccuracyCurve.from_scores(a.ranks, a.scores, documents=a.documents, metric="acc_norm", name="D")  # type: ignore[arg-type]
    with pytest.raises(ComparisonError, match="'A' holds None, 'D' holds acc_norm"):
        align([a, metric])
    with pytest.raises(UnknownNameError, match="Known: drop, error"):
        align([a, b], missing="ignore")


def test_no_resamples_are_too_few(e2: Pair) -> None:
    for ci in ("t", "bca"):
        with pytest.raises(CurveError, match=r"0 resamples are too few. Usual: 9999"):
            paired_difference(*e2, ci=ci, n_resamples=0)


def test_clusters_are_flipped_as_a_whole(e2: Pair) -> None:
    a, b = e2
    assert a.documents is not None
    clusters = {key: number // 3 for number, key in enumerate(a.documents)}
    d = paired_difference(a, b, ci="t", clusters=clusters)
    sums = d.differences.reshape(4, 3).sum(axis=1)
    assert d.p_value == sign_flip_p(sums) == 2 / 2**4
    residuals = (d.differences - d.value).reshape(4, 3).sum(axis=1)
    assert d.stderr == near(np.sqrt(4 / 3 * (residuals**2).sum()) / 12)
    with pytest.raises(CurveError, match=r"12 of 12 documents have no cluster \(for example t/0\)"):
        paired_difference(a, b, clusters={})


@pytest.mark.parametrize("test", ["unpaired-z", "cell-flip", "normality-pretest", "aso"])
def test_misleading_tests_are_refused_by_name(test: str, e2: Pair) -> None:
    with pytest.raises(RefusedError, match="Use "):
        paired_difference(*e2, test=test)


def test_unknown_tests_have_near_names(e2: Pair) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown test 'signflip'. Did you mean 'sign-flip'"):
        paired_difference(*e2, test="signflip")
