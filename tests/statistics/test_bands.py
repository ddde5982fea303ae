from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.statistics.bands import critical_value, crossing, curve_band, difference_band
from statistics_cases import curve

KEYS = [f"d{i}" for i in range(400)]


def random_curve(seed: int, accuracies: list[float], n: int = 400) -> RankAccuracyCurve:
    scores = (np.random.default_rng(seed).random((n, len(accuracies))) < accuracies).astype(float)
    return RankAccuracyCurve.from_scores([2**k for k in range(len(accuracies))], scores, documents=KEYS[:n])


def test_one_column_needs_the_normal_quantile() -> None:
    values = np.random.default_rng(0).normal(size=(2000, 1))
    assert critical_value(values) == pytest.approx(1.96, rel=0.025)  # 2 standard errors of a quantile of 9999 draws
    assert critical_value(values[:2]) == pytest.approx(scipy.stats.t.ppf(0.975, 1))


def test_independent_columns_need_nearly_bonferronis_value_and_copies_none() -> None:
    values = np.random.default_rng(0).normal(size=(500, 8))
    sidak = scipy.stats.norm.ppf((1 + 0.95 ** (1 / 8)) / 2)
    assert critical_value(values) == pytest.approx(
        sidak, rel=0.04
    )  # 4 standard errors of that quantile, and chance correlation
    assert critical_value(np.repeat(values[:, :1], 8, axis=1)) == pytest.approx(
        1.96, rel=0.04
    )  # 3 standard errors of that quantile


def test_a_band_has_wilsons_edges_at_c_for_z() -> None:
    data = random_curve(1, [0.3, 0.5, 0.6])
    band = curve_band(data)
    assert data.scores is not None
    for k, (low, high) in enumerate(zip(band.low, band.high, strict=True)):
        # Right and wrong answers of 400 documents: an error with the divisor n - 1 makes n_eff = 399.
        p, z2 = data.accuracies[k], band.critical**2
        centre, half = p + z2 / 798, band.critical * np.sqrt((p * (1 - p) + z2 / 1596) / 399)
        assert (low, high) == pytest.approx(((centre - half) / (1 + z2 / 399), (centre + half) / (1 + z2 / 399)))
    assert (band.ranks, band.confidence_level, band.target) == ((1, 2, 4), 0.95, "docs")
    assert curve_band(data, confidence_level=0.5).critical < band.critical


def test_the_band_of_a_difference_is_the_mean_and_c_standard_errors_where_enough_documents_differ() -> None:
    a, b = random_curve(1, [0.3, 0.5, 0.6]), random_curve(2, [0.3, 0.5, 0.6])
    band = difference_band(a, b)
    assert a.scores is not None
    assert b.scores is not None
    d = a.scores - b.scores
    np.testing.assert_allclose(band.low, d.mean(axis=0) - band.critical * scipy.stats.sem(d), rtol=1e-9)
    np.testing.assert_allclose(band.high, d.mean(axis=0) + band.critical * scipy.stats.sem(d), rtol=1e-9)


@pytest.mark.parametrize(("n", "level"), [(2, 0.95), (3, 0.99), (4, 0.999), (2, 0.999999)])
def test_documents_too_few_for_the_level_leave_a_rank_open_where_they_agree(n: int, level: float) -> None:
    data = RankAccuracyCurve.from_scores([1, 2], [[k % 2, 1] for k in range(n)], documents=KEYS[:n])
    band = curve_band(data, confidence_level=level)
    assert (band.low[1], band.high[1]) == (0.0, 1.0)
    assert 0 <= band.low[0] < 0.5 < band.high[0] <= 1
    other = RankAccuracyCurve.from_scores([1, 2], np.ones((n, 2)), documents=KEYS[:n])
    between = difference_band(data, other, confidence_level=level)
    assert (between.low[1], between.high[1]) == (-1.0, 1.0)
    assert np.isfinite([between.low, between.high]).all()


def test_passages_widen_a_band() -> None:
    scores = np.repeat(np.random.default_rng(0).integers(0, 2, (40, 3)), 10, axis=0)
    plain = RankAccuracyCurve.from_scores([1, 2, 4], scores, documents=KEYS)
    passages = plain.clustered([str(i // 10) for i in range(400)])
    assert np.all(
        curve_band(passages).high - curve_band(passages).low > 2 * (curve_band(plain).high - curve_band(plain).low)
    )


def test_a_band_repeats_with_its_seed() -> None:
    data = random_curve(1, [0.3, 0.5, 0.6])
    assert curve_band(data).critical == curve_band(data, rng=np.random.default_rng(12345)).critical
    assert curve_band(data).critical != curve_band(data, rng=np.random.default_rng(1)).critical


def test_a_rank_where_all_are_right_keeps_some_width() -> None:
    band = curve_band(curve("0011 0111 0001 0011 0001 0111"))
    assert (band.low[3] < 0.7, band.high[3]) == (True, 1.0)
    assert band.high[0] > 0.2
    everything = curve_band(curve("1111 " * 20))
    # Wilson for 20 of 20 at the t quantile of 19 degrees of freedom: 20 / (20 + 2.093^2)
    np.testing.assert_allclose(everything.low, 20 / (20 + scipy.stats.t.ppf(0.975, 19) ** 2))


def test_unbounded_scores_are_not_clipped() -> None:
    band = curve_band(RankAccuracyCurve.from_scores([1, 2], [[3.0, 2.0], [1.0, 2.0]], bounded=False))
    assert band.high[0] > 3
    assert (band.low[1], band.high[1]) == (2.0, 2.0)


def test_a_crossing_needs_both_sides_outside_the_band() -> None:
    low_first, high_first = random_curve(1, [0.2, 0.5, 0.8]), random_curve(2, [0.8, 0.5, 0.2])
    found = crossing(difference_band(low_first, high_first))
    assert (found.claimed, found.above, found.below) == (True, (4,), (1,))
    one_sided = crossing(difference_band(random_curve(3, [0.8, 0.5, 0.5]), random_curve(4, [0.2, 0.5, 0.5])))
    assert (one_sided.claimed, one_sided.above, one_sided.below) == (False, (1,), ())


def test_identical_curves_have_the_band_that_their_documents_leave_open_and_no_crossing() -> None:
    data = random_curve(1, [0.3, 0.5])
    band = difference_band(data, data)
    assert band.estimate.tolist() == [0.0, 0.0]
    # None of n documents differs: Wilson's upper end, at the t quantile of a single rank.
    n = len(data.scores)  # type: ignore[arg-type]
    open_ = 1 - n / (n + scipy.stats.t.ppf(0.975, n - 1) ** 2)
    np.testing.assert_allclose(band.high, open_, rtol=1e-9)
    np.testing.assert_allclose(band.low, -open_, rtol=1e-9)
    assert not crossing(band).claimed


def test_bands_need_documents() -> None:
    with pytest.raises(CurveError, match="no per-document scores, so it has no band"):
        curve_band(RankAccuracyCurve([1, 2], [0.1, 0.2]))
    with pytest.raises(CurveError, match="one document has no spread, so there is no band"):
        curve_band(RankAccuracyCurve.from_scores([1], [[1.0]]))
    with pytest.raises(ComparisonError, match="not in every run"):
        difference_band(random_curve(1, [0.5]), random_curve(1, [0.5], n=300))
    assert difference_band(random_curve(1, [0.5]), random_curve(2, [0.5], n=300), missing="drop").ranks == (1,)


def test_bands_of_few_passages_cover_the_whole_curve() -> None:
    """10 passages of 10 documents, 8 noisy ranks: at the normal quantile 84 % of bands held the curve."""
    rng, labels, covered = np.random.default_rng(3), [f"p{i // 10}" for i in range(100)], 0
    level = 0.5 + np.linspace(-0.6, 0.1, 8)
    truth = scipy.stats.norm.cdf(level / np.sqrt(1 + 0.64 + 2.25))
    for _ in range(200):
        shared = np.repeat(rng.normal(size=(10, 1)), 10, axis=0)
        y = level + shared + 0.8 * rng.normal(size=(100, 1)) + 1.5 * rng.normal(size=(100, 8)) > 0
        ranks = [2**k for k in range(8)]
        band = curve_band(RankAccuracyCurve.from_scores(ranks, y * 1.0, clusters=labels), n_resamples=999)
        covered += bool(((band.low <= truth) & (truth <= band.high)).all())
    assert covered / 200 > 0.91
