"""Gain over the base model: paired, positive where better, and shares only of a gain that is one."""

from __future__ import annotations

import numpy as np
import pytest

from aurac.analysis.gain import gain
from aurac.curve.curve import RankAccuracyCurve

RNG = np.random.default_rng(0)
SCORES = (RNG.random((200, 3)) < [0.5, 0.6, 0.8]).astype(float)
BASE = (RNG.random(200) < 0.3).astype(float)


def curve(**options: object) -> RankAccuracyCurve:
    return RankAccuracyCurve.from_scores([1, 2, 4], SCORES, base=BASE, **options)  # type: ignore[arg-type]


def test_the_gain_is_the_mean_over_documents_of_the_weighted_row_minus_the_base() -> None:
    found = gain(curve())
    assert found is not None
    rows = SCORES @ [0.25, 0.5, 0.25] - BASE  # log2 axis, trapezoid: 1, 2, 4 are equally far apart
    assert found.area == pytest.approx(rows.mean(), rel=1e-12)
    assert found.area_stderr == pytest.approx(rows.std(ddof=1) / 200**0.5, rel=1e-12)
    assert found.full == pytest.approx((SCORES[:, -1] - BASE).mean(), rel=1e-12)
    assert found.recovered[4] == 1.0
    assert found.recovered[1] == pytest.approx((SCORES[:, 0] - BASE).mean() / found.full, rel=1e-12)
    assert found.recovered_area == pytest.approx(found.area / found.full, rel=1e-12)


def test_the_base_is_no_part_of_the_area() -> None:
    assert curve().area() == RankAccuracyCurve.from_scores([1, 2, 4], SCORES).area()


def test_where_lower_is_better_a_gain_is_a_fall() -> None:
    found = gain(RankAccuracyCurve([1, 2], [1.5, 1.0], base=2.0, bounded=False, higher_is_better=False))
    assert found is not None
    assert (found.full, found.area, found.recovered[1]) == (1.0, 0.75, 0.5)


def test_a_gain_that_documents_do_not_show_has_no_shares() -> None:
    found = gain(RankAccuracyCurve.from_scores([1, 2], [[1, 1], [0, 1], [1, 0], [0, 1]], base=[1, 0, 1, 0]))
    assert found is not None
    assert found.full_stderr is not None
    assert found.full < 2 * found.full_stderr
    assert set(found.recovered.values()) == {None}
    assert found.recovered_area is None


def test_without_a_base_there_is_no_gain() -> None:
    assert gain(RankAccuracyCurve([1, 2], [0.4, 0.5])) is None


def test_the_base_stays_with_its_documents() -> None:
    keys = [f"d{i}" for i in range(200)]
    whole = curve(documents=keys)
    part = whole.select_documents(keys[10:20]).select_ranks([1, 4]).named("x")
    assert part.base_scores is not None
    np.testing.assert_array_equal(part.base_scores, BASE[10:20])
    assert whole.without_documents().base == BASE.mean()


def test_the_base_of_several_seeds_is_their_mean() -> None:
    keys = [f"d{i}" for i in range(200)]
    pooled = RankAccuracyCurve.from_seeds([curve(documents=keys)] * 2, ["1", "2"])
    assert pooled.base_scores is not None
    np.testing.assert_array_equal(pooled.base_scores, BASE)


def test_a_base_of_another_number_of_documents_is_refused() -> None:
    from aurac.errors import CurveError

    with pytest.raises(CurveError, match=r"base has shape \(3,\). Give one number, or one for each document"):
        RankAccuracyCurve.from_scores([1, 2, 4], SCORES, base=[0, 1, 0])
