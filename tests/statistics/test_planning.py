from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac.errors import CurveError
from aurac.statistics.confidence_sequence import remaining_half_width, sequence_half_width
from aurac.statistics.planning import documents_needed, minimal_effect, power_of, seed_floor


def test_minimal_effect_and_documents_of_e2_are_the_reference_ones(oracles: dict[str, Any]) -> None:
    e2 = oracles["E2"]
    assert minimal_effect(e2["sd"], 12) == pytest.approx(e2["mde80"], rel=1e-9)
    assert documents_needed(0.05, e2["sd"]) == e2["n_for_80pct_at_delta_5pt"]


@pytest.mark.parametrize(("n", "expected"), [(1172, (1.6, 2.5, 2.9)), (1319, (1.5, 2.3, 2.8)), (2376, (1.2, 1.7, 2.1))])
def test_the_table_of_minimal_effects_is_the_reference_one(n: int, expected: tuple[float, ...]) -> None:
    # The table is printed with one digit.
    assert [100 * minimal_effect(sd, n) for sd in (0.2, 0.3, 0.36)] == pytest.approx(expected, rel=1e-6, abs=0.052)


@pytest.mark.parametrize(("sigma", "expected"), [(0.3, (0.91, 0.61, 0.40)), (0.8, (2.43, 1.62, 1.06))])
def test_the_table_of_seed_floors_is_the_reference_one(sigma: float, expected: tuple[float, ...]) -> None:
    assert tuple(round(100 * seed_floor(sigma / 100, n), 2) for n in (3, 5, 10)) == expected


@given(st.floats(0.005, 0.1), st.floats(0.05, 0.5), st.floats(0.5, 0.99))
def test_documents_needed_is_the_first_number_that_is_enough(effect: float, sd: float, power: float) -> None:
    n = documents_needed(effect, sd, power=power)
    assert minimal_effect(sd, n, power=power) <= effect * (1 + 1e-9)
    if n > 2:
        assert minimal_effect(sd, n - 1, power=power) > effect * (1 - 1e-9)


def test_documents_needed_with_seeds_is_the_first_number_that_is_enough() -> None:
    seeds: dict[str, Any] = {"seed_sd": 0.003, "n_seeds": 5}
    n = documents_needed(0.01, 0.3, **seeds)
    assert minimal_effect(0.3, n, **seeds) <= 0.01 < minimal_effect(0.3, n - 1, **seeds)
    assert n > documents_needed(0.01, 0.3)


def test_more_documents_come_down_to_the_seed_floor() -> None:
    assert minimal_effect(0.3, 10**12, seed_sd=0.008, n_seeds=3) == pytest.approx(
        seed_floor(0.008, 3), rel=1e-4
    )  # 10^12 documents are not infinitely many


@given(st.floats(0.05, 0.5), st.integers(10, 5000), st.floats(0.5, 0.99))
def test_the_minimal_effect_has_its_power(sd: float, n: int, power: float) -> None:
    found = power_of(minimal_effect(sd, n, power=power), sd, n)
    assert found == pytest.approx(power, rel=4e-3)  # it counts findings in the wrong direction too


def test_power_without_an_effect_is_the_level() -> None:
    assert power_of(0, 0.3, 100, alpha=0.01) == pytest.approx(0.01)
    assert power_of(0, 0.0, 100) == 0.05
    assert power_of(0.1, 0.0, 100) == 1.0
    assert power_of(0.02, 0.3, 1000, seed_sd=0.01, n_seeds=3) < power_of(0.02, 0.3, 1000)


def test_power_is_what_a_simulated_paired_test_finds() -> None:
    d = np.random.default_rng(0).normal(0.05, 0.3, size=(4000, 200))
    z = d.mean(axis=1) / (d.std(axis=1, ddof=1) / np.sqrt(200))
    assert np.mean(np.abs(z) > 1.972) == pytest.approx(power_of(0.05, 0.3, 200), rel=0.05)  # 4 standard errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: documents_needed(0.005, 0.3, seed_sd=0.003, n_seeds=3), "no number of documents .* Train more seeds"),
        (lambda: documents_needed(0.0, 0.3), "effect 0 is not positive"),
        (lambda: documents_needed(float("inf"), 0.3), "effect inf is not positive and finite"),
        (lambda: minimal_effect(-1, 100), "sd -1 is negative"),
        (lambda: minimal_effect(float("nan"), 100), "sd nan is negative or not a number"),
        (lambda: minimal_effect(0.3, 1), "1 documents show no spread"),
        (lambda: minimal_effect(0.3, 100, alpha=0), "alpha 0 is not between 0 and 1"),
        (lambda: minimal_effect(0.3, 100, power=1), "power 1 is not between 0 and 1"),
        (lambda: minimal_effect(0.3, 100, seed_sd=0.1), "seed_sd needs n_seeds"),
        (lambda: seed_floor(0.1, 1), "1 seed shows no spread"),
    ],
)
def test_impossible_plans_say_why(call: Any, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        call()


def test_sequences_have_the_reference_widths(oracles: dict[str, Any]) -> None:
    e5 = oracles["E5"]
    assert sequence_half_width(0.2, 300, tuned_at=300) == pytest.approx(e5["asymp_cs_t300_sd02"], rel=1e-9)
    assert remaining_half_width(0.2, 600, 1172, tuned_at=600) == pytest.approx(
        e5["wor_cs_N1172_t600_sd02_t0_600"], rel=1e-9
    )
    z = 1.959963984540054
    assert z * 0.2 / np.sqrt(300) == pytest.approx(e5["fixed_t300_sd02"], rel=1e-9)


def test_sequences_end_where_everything_was_seen() -> None:
    assert remaining_half_width(0.2, 100, 100, tuned_at=50) == 0.0
    assert remaining_half_width(0.0, 10, 100, tuned_at=50) == 0.0
    widths = [remaining_half_width(0.2, n, 100, tuned_at=50) for n in range(10, 100)]
    assert widths == sorted(widths, reverse=True)
    with pytest.raises(CurveError, match="Tune below the total"):
        remaining_half_width(0.2, 10, 100, tuned_at=100)
    with pytest.raises(CurveError, match="at least 1 document"):
        sequence_half_width(0.2, 0, tuned_at=100)
