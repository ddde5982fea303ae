from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.errors import CurveError
from aurac.statistics.confidence_sequence import remaining_half_width, sequence_half_width
from aurac.statistics.planning import detectable_effect, documents_needed, minimal_effect, power_of, seed_floor
from aurac.statistics.seeds import method_difference


def power_by_noncentral_t(effect: float, stderr: float, df: float) -> float:
    critical, nc = scipy.stats.t.ppf(0.975, df), effect / stderr
    return float(scipy.stats.nct.sf(critical, df, nc) + scipy.stats.nct.cdf(-critical, df, nc))


@pytest.mark.parametrize("n", [5, 12, 50, 1000])
def test_the_minimal_effect_is_that_of_the_noncentral_t(n: int, oracles: dict[str, Any]) -> None:
    sd = oracles["E2"]["sd"]
    effect = minimal_effect(sd, n)
    # The power is averaged over 4096 draws of the variance.
    assert power_by_noncentral_t(effect, sd / np.sqrt(n), n - 1) == pytest.approx(0.8, rel=1e-4)
    assert effect > (1.95996 + 0.84162) * sd / np.sqrt(n)  # which takes the error for known


def test_a_known_error_has_the_reference_effect(oracles: dict[str, Any]) -> None:
    assert detectable_effect(oracles["E2"]["se"]) == pytest.approx(
        oracles["E2"]["mde80"], rel=1e-5
    )  # which leaves out the other tail


@pytest.mark.parametrize(("n", "expected"), [(1172, (1.6, 2.5, 2.9)), (1319, (1.5, 2.3, 2.8)), (2376, (1.2, 1.7, 2.1))])
def test_the_table_of_minimal_effects_is_the_reference_one(n: int, expected: tuple[float, ...]) -> None:
    # The table is printed with one digit.
    assert [100 * minimal_effect(sd, n) for sd in (0.2, 0.3, 0.36)] == pytest.approx(expected, rel=1e-6, abs=0.052)


def test_the_effect_falls_with_documents_and_never_below_the_floor_of_the_seeds() -> None:
    for n_seeds in (3, 4, 5, 10):
        for seed_sd in (0.001, 0.004, 0.02):
            plan: dict[str, Any] = {"seed_sd": seed_sd, "n_seeds": n_seeds}
            effects = [minimal_effect(0.3, n, **plan) for n in (5, 20, 100, 500, 2000, 10_000, 100_000, 10**8)]
            assert effects == sorted(effects, reverse=True)
            assert effects[-1] >= seed_floor(seed_sd, n_seeds)


@pytest.mark.parametrize(("n", "seed_sd"), [(300, 0.02), (1000, 0.004)])
def test_three_seeds_find_the_minimal_effect_as_often_as_it_says(n: int, seed_sd: float) -> None:
    # Two methods on common documents, each document with a difficulty, an effect of the method, and noise of the run.
    rng, simulations, cell = np.random.default_rng(7), 400, 0.1
    own = np.sqrt(0.3**2 / 2 - cell**2 / 3)  # so that differences of means over 3 seeds have a spread of 0.3
    effect, found = minimal_effect(0.3, n, seed_sd=seed_sd, n_seeds=3), 0
    for _ in range(simulations):
        a, b = (
            rng.normal(0, own, (n, 1, 1)) + rng.normal(0, cell, (n, 3, 1)) + rng.normal(0, seed_sd, (1, 3, 1))
            for _ in range(2)
        )
        made = method_difference([a + effect], [b], np.ones(1))
        found += 2 * scipy.stats.t.sf(abs(made.value) / made.stderr, made.df) <= 0.05
    # Monte Carlo: four standard errors of 0.02; where seeds begin to dominate the power is up to .84.
    assert found / simulations == pytest.approx(0.81, rel=0.1)


@pytest.mark.slow
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
    assert power_of(minimal_effect(sd, n, power=power), sd, n) == pytest.approx(power, rel=1e-9)


def test_power_without_an_effect_is_the_level() -> None:
    assert power_of(0, 0.3, 100, alpha=0.01) == pytest.approx(0.01, rel=1e-3)  # averaged over 4096 points
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
        (lambda: seed_floor(0.1, 2), "2 seeds of each method make no test.*Plan with at least 3"),
        (lambda: minimal_effect(0.3, 100, seed_sd=float("inf"), n_seeds=3), "seed_sd inf is infinite"),
        (lambda: minimal_effect(0.3, 100, seed_sd=float("nan"), n_seeds=3), "seed_sd nan is negative or not a number"),
        (lambda: minimal_effect(float("inf"), 100), "sd inf is infinite"),
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
