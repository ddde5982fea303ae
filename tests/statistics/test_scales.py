"""Scores relative to chance."""

from __future__ import annotations

from typing import Any

import pytest

from aurac.analysis.compute import compute
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.quadrature import weights
from aurac.statistics.chance import chance_level, estimate_above_chance
from aurac.statistics.intervals import estimate_mean, per_document

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
