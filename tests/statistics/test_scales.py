"""Scores on other scales: relative to chance, as a share of the gain, as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aurac.analysis.compute import compute
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import weights
from aurac.statistics.bayes import bayesian_bootstrap
from aurac.statistics.chance import chance_level, estimate_above_chance
from aurac.statistics.intervals import estimate_mean, per_document
from aurac.statistics.recovered import recovered_gain

Pair = tuple[RankAccuracyCurve, RankAccuracyCurve]


def test_chance_correction_is_the_reference_one(e1: RankAccuracyCurve, oracles: dict[str, Any]) -> None:
    assert e1.scores is not None
    for axis, key in (("linear", "chance25_v1"), ("log2", "chance25_v2")):
        expected = oracles["E1"][key]
        estimate = estimate_above_chance(estimate_mean(per_document(e1.scores, weights(e1.ranks, axis))), 0.25)
        assert (estimate.value, estimate.stderr) == pytest.approx((expected["aurac"], expected["se"]), rel=1e-9)
        score = compute(e1, axis=axis, chance=0.25)
        assert (score.value, score.stderr) == pytest.approx((expected["aurac"], expected["se"]), rel=1e-9)


def test_a_score_above_chance_corrects_everything_and_says_so(e1: RankAccuracyCurve) -> None:
    raw, score = compute(e1), compute(e1, chance=0.5)
    assert raw.interval is not None
    assert score.interval is not None
    assert raw.value_linear is not None
    assert score.value_linear == pytest.approx(2 * raw.value_linear - 1)
    assert (score.interval.low, score.interval.high) == pytest.approx(
        (2 * raw.interval.low - 1, 2 * raw.interval.high - 1)
    )
    assert score.signature.score["norm"] == "chance0.5"
    assert raw.signature.score["norm"] == "none"


def test_bad_chances_are_said_so(e1: RankAccuracyCurve) -> None:
    assert chance_level([4, 4, 2]) == pytest.approx(1 / 3)
    with pytest.raises(CurveError, match=r"chance 1 is not in \[0, 1\). It is the accuracy of guessing"):
        compute(e1, chance=1)
    with pytest.raises(CurveError, match="at least one choice"):
        chance_level([0])
    with pytest.raises(CurveError, match="chance= needs scores in"):
        compute(RankAccuracyCurve([1, 2], [3.0, 2.0], bounded=False), chance=0.25)


def test_the_recovered_gain_is_the_reference_one(e2: Pair, oracles: dict[str, Any]) -> None:
    a = e2[0]
    assert a.scores is not None
    base = np.zeros(12)
    base[[1, 5]] = 1  # documents 2 and 6
    found = recovered_gain(per_document(a.scores, weights(a.ranks)), a.scores[:, -1], base)
    expected = oracles["E2g"]
    assert (found.value, found.stderr, found.g) == pytest.approx(
        (expected["rho"], expected["se_delta"], expected["g"]), rel=1e-9
    )
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(expected["fieller"], rel=1e-9)
    assert str(found) == "recovered gain: 0.646 (95% Fieller 0.380 to 0.982)"


def test_a_gain_that_may_be_nothing_is_not_identified() -> None:
    found = recovered_gain([1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0])
    assert found.interval is None
    assert found.g >= 1
    assert "not identified" in str(found)
    nothing = recovered_gain([1, 0], [1, 1], [1, 1])
    assert (nothing.value, nothing.interval, nothing.g) == (None, None, float("inf"))


def test_a_gain_without_spread_is_a_plain_ratio() -> None:
    found = recovered_gain([0.5, 0.5], [1, 1], [0, 0])
    assert found.interval is not None
    assert (found.value, found.stderr, found.interval.low, found.interval.high) == (0.5, 0, 0.5, 0.5)
    with pytest.raises(CurveError, match=r"shapes \(1,\), \(1,\), \(1,\). Give \(n,\) of n >= 2 documents"):
        recovered_gain([1], [1], [0])


def test_the_bayesian_bootstrap_is_the_reference_one(oracles: dict[str, Any]) -> None:
    expected = oracles["E2b"]
    found = bayesian_bootstrap(oracles["E2"]["d"], rope=0.05, n_resamples=100_000)
    assert (found.mean, found.sd) == pytest.approx((expected["post_mean"], expected["post_sd"]), rel=1e-9)
    assert found.p_rope == pytest.approx(expected["P_in_rope05_mc"], rel=1e-2, abs=2e-4)  # drawn
    assert found.p_below + found.p_rope + found.p_above == pytest.approx(1)
    assert bayesian_bootstrap([0.0, 0.0]).p_rope == 1.0
    with pytest.raises(CurveError, match="rope >= 0"):
        bayesian_bootstrap([0.1], rope=-1)
