"""Where one more training of a method will score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from aurac.curve.curve import RankAccuracyCurve
from aurac.statistics.next_seed import next_seed_interval
from aurac.statistics.over_seeds import method_score

ONE = [np.ones(1)]


def method(values: np.ndarray) -> RankAccuracyCurve:
    """A curve of one rank from scores of shape (documents, seeds)."""
    names = [str(n) for n in range(len(values))]
    curves = [RankAccuracyCurve([1], scores=column[:, None], documents=names) for column in values.T]
    return RankAccuracyCurve.from_seeds(curves, [str(seed) for seed in range(values.shape[1])])


def test_two_seeds_predict_no_third() -> None:
    assert next_seed_interval([method(np.array([[0.2, 0.3], [0.4, 0.5]]))], ONE) is None


def test_on_exactly_these_documents_it_is_the_textbooks_interval_for_one_more_observation() -> None:
    values = np.random.default_rng(1).uniform(0.4, 0.6, (12, 4))
    each = values.mean(axis=0)
    half = t.ppf(0.95, 3) * each.std(ddof=1) * np.sqrt(1 + 1 / 4)
    found = next_seed_interval([method(values)], ONE, confidence_level=0.9, target="seeds")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((each.mean() - half, each.mean() + half), rel=1e-9)
    assert (found.method, found.target) == ("prediction", "seeds")


def test_it_is_wider_than_the_interval_of_the_mean_and_stays_in_the_range_of_an_accuracy() -> None:
    curve = method((np.random.default_rng(2).random((40, 3)) < [0.95, 0.97, 0.99]).astype(float))
    found, mean = next_seed_interval([curve], ONE), method_score([curve], ONE).interval()
    assert found is not None
    assert found.low < mean.low
    assert found.high == 1.0


def test_seeds_that_agree_leave_what_the_documents_leave() -> None:
    curve = method(np.repeat(np.random.default_rng(3).random((30, 1)), 3, axis=1))
    found, mean = next_seed_interval([curve], ONE), method_score([curve], ONE).interval()
    assert found is not None
    assert (found.low, found.high) == pytest.approx((mean.low, mean.high), rel=1e-9)


@pytest.mark.parametrize(("n_seeds", "seed_sd"), [(3, 0.03), (5, 0.03), (5, 0.005)])
def test_the_next_training_lies_in_it_as_often_as_promised(n_seeds: int, seed_sd: float) -> None:
    rng, n, hits, trials = np.random.default_rng(4), 150, 0, 400
    for _ in range(trials):
        levels = 0.6 + seed_sd * rng.standard_normal(n_seeds + 1)
        difficulty = rng.normal(0, 0.15, (n, 1))
        values = (rng.random((n, n_seeds)) < np.clip(levels[:-1] + difficulty, 0, 1)).astype(float)
        found = next_seed_interval([method(values)], ONE)
        assert found is not None
        hits += found.low <= levels[-1] <= found.high
    assert 0.92 <= hits / trials <= 0.99  # 95 % of 400 trials: a standard error of 1.1 points; 1.0 would be too wide
