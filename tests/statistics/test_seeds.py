from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac.errors import CurveError, UnknownNameError
from aurac.statistics.intervals import estimate_mean
from aurac.statistics.macro import macro_mean
from aurac.statistics.seeds import TARGETS, method_difference, method_estimate, two_way
from tolerance import near

E3 = np.array([[0.8, 0.6, 0.7], [0.2, 0.3, 0.1], [1, 1, 0.9], [0.5, 0.4, 0.6], [0, 0.1, 0], [0.9, 0.7, 0.8]])
ONE = np.ones(1)


def scores(rng: np.random.Generator, n: int, n_seeds: int, ranks: int, seed_sd: float = 0.05) -> np.ndarray:
    """Scores with effects of documents, of seeds, and noise, shape (n, S, K)."""
    documents, seeds = rng.normal(0.5, 0.2, (n, 1, 1)), rng.normal(0, seed_sd, (1, n_seeds, 1))
    return documents + seeds + rng.normal(0, 0.1, (n, n_seeds, ranks))


def test_e3_is_floored_at_the_spread_of_documents(oracles: dict[str, Any]) -> None:
    expected, found = oracles["E3"], two_way(E3)
    assert [part.variance for part in found.parts] == pytest.approx(expected["parts"], rel=1e-9)
    assert (found.value, found.stderr, found.df) == pytest.approx(
        (expected["mean"], expected["se_two_way"], expected["df"]), rel=1e-9
    )
    assert found.floored
    interval = found.interval()
    assert (interval.low, interval.high) == pytest.approx(expected["ci"], rel=1e-9)
    assert interval.target == "docs+seeds"
    assert two_way(E3, target="docs").stderr == pytest.approx(expected["se_doc_only"], rel=1e-9)
    assert two_way(E3, target="seeds").stderr == pytest.approx(expected["se_seed_only"], rel=1e-9)


def test_e3b_has_satterthwaites_degrees_of_freedom(oracles: dict[str, Any]) -> None:
    expected, found = oracles["E3b"], two_way(oracles["E3b"]["A"])
    assert [part.variance for part in found.parts] == pytest.approx(expected["parts"], rel=1e-9)
    assert (found.value, found.stderr, found.df) == pytest.approx(
        (expected["mean"], expected["se"], expected["df"]), rel=1e-9
    )
    assert not found.floored
    interval = found.interval()
    assert (interval.low, interval.high) == pytest.approx(expected["ci"], rel=1e-9)
    assert two_way(oracles["E3b"]["A"], target="docs").stderr == pytest.approx(expected["se_doc_only"], rel=1e-9)
    assert two_way(oracles["E3b"]["A"], target="seeds").stderr == pytest.approx(expected["se_seed_only"], rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20), st.integers(2, 5))
def test_identical_seeds_add_nothing_to_the_error_over_documents(a: list[float], n_seeds: int) -> None:
    found = two_way(np.repeat(np.array(a)[:, None], n_seeds, axis=1))
    assert found.stderr == near(estimate_mean(a).stderr)


def test_the_parts_are_the_mean_squares_of_the_two_way_table() -> None:
    n, n_seeds = E3.shape
    rows, columns, grand = E3.mean(axis=1, keepdims=True), E3.mean(axis=0), E3.mean()
    ms_doc = n_seeds * np.sum((rows - grand) ** 2) / (n - 1)
    ms_seed = n * np.sum((columns - grand) ** 2) / (n_seeds - 1)
    ms_cell = np.sum((E3 - rows - columns + grand) ** 2) / ((n - 1) * (n_seeds - 1))
    expected = np.array([ms_doc, ms_seed, -ms_cell]) / E3.size
    np.testing.assert_allclose([part.variance for part in two_way(E3).parts], expected, rtol=1e-12)


def test_independent_seeds_add_the_seed_terms_of_both_methods() -> None:
    rng = np.random.default_rng(0)
    a, b = scores(rng, 50, 3, 1), scores(rng, 50, 4, 1)
    found = method_difference([a], [b], ONE)
    d = (a.mean(axis=1) - b.mean(axis=1))[:, 0]
    parts = [two_way(x[:, :, 0]).parts[1:] for x in (a, b)]
    expected = d.var(ddof=1) / 50 + sum(part.variance for pair in parts for part in pair)
    assert found.value == pytest.approx(d.mean())
    assert found.stderr**2 == pytest.approx(expected)
    assert [part.df for part in found.parts] == [49, 2, 98, 3, 147]


def test_shared_seeds_are_the_two_way_table_of_the_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = scores(rng, 30, 3, 1), scores(rng, 30, 3, 1)
    found = method_difference([a], [b], ONE, seeds="shared")
    expected = two_way((a - b)[:, :, 0])
    assert (found.value, found.stderr, found.df) == pytest.approx((expected.value, expected.stderr, expected.df))


def test_a_method_has_no_difference_to_itself_on_shared_seeds() -> None:
    a = scores(np.random.default_rng(2), 20, 3, 2)
    found = method_difference([a], [a], np.array([0.5, 0.5]), seeds="shared")
    interval = found.interval()
    assert (found.value, found.stderr, interval.low, interval.high) == (0, 0, 0, 0)


def test_ranks_trained_one_by_one_add_their_seed_variances() -> None:
    w = np.array([0.25, 0.75])
    y = scores(np.random.default_rng(3), 40, 3, 2)
    found = method_estimate([y], w, seed_unit="rank")
    seeds = [part.variance for part in found.parts if part.source == "seeds"]
    # w_k^2 s_k^2 / S, s_k the spread of the accuracy at rank k over seeds
    np.testing.assert_allclose(seeds, w**2 * y.mean(axis=0).var(axis=0, ddof=1) / 3, rtol=1e-12)
    assert found.value == pytest.approx(y.mean(axis=(0, 1)) @ w)
    assert method_estimate([y], np.array([0.0, 1.0]), seed_unit="rank").stderr == pytest.approx(
        two_way(y[:, :, 1]).stderr
    )


def test_over_tasks_the_seed_term_is_that_of_the_macro_score() -> None:
    rng = np.random.default_rng(4)
    tasks = [scores(rng, 30, 3, 1), scores(rng, 60, 3, 1)]
    found = method_estimate(tasks, ONE)
    macro_per_seed = (tasks[0].mean(axis=(0, 2)) + tasks[1].mean(axis=(0, 2))) / 2
    seeds = [part for part in found.parts if part.source == "seeds"]
    assert [(part.variance, part.df) for part in seeds] == [(pytest.approx(macro_per_seed.var(ddof=1) / 3), 2)]
    on_documents = macro_mean([estimate_mean(y.mean(axis=(1, 2))) for y in tasks])
    docs = method_estimate(tasks, ONE, target="docs")
    assert (docs.value, docs.stderr, docs.df) == pytest.approx(
        (on_documents.value, on_documents.stderr, on_documents.df)
    )
    one = method_estimate([tasks[0], tasks[0]], ONE, task_weights=[1.0, 0.0])
    assert one.stderr == pytest.approx(method_estimate([tasks[0]], ONE).stderr)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_names_itself_in_the_interval(target: str) -> None:
    interval = two_way(E3, target=target).interval()
    assert interval.target == target
    assert (interval.high - interval.low == 0) == (target == "benchmark")


def test_all_right_under_every_seed_is_no_nan() -> None:
    found = two_way(np.ones((5, 3)))
    interval = found.interval()
    assert (found.value, found.stderr, interval.low, interval.high) == (1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((5, 1)), "one seed shows no spread between seeds. Train at least 2"),
        (np.ones((1, 5)), "one document shows no spread"),
        (np.ones(5), r"values have shape \(5,\). Give \(documents, seeds\)"),
    ],
)
def test_too_few_seeds_or_documents_are_said_so(values: np.ndarray, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        two_way(values)


def test_what_does_not_fit_is_said_so() -> None:
    a, b = np.ones((5, 2, 1)), np.ones((6, 2, 1))
    with pytest.raises(CurveError, match=r"different numbers of documents. Align their curves first"):
        method_difference([a], [b], ONE)
    with pytest.raises(CurveError, match="shared seeds need the same number"):
        method_difference([a], [np.ones((5, 3, 1))], ONE, seeds="shared")
    with pytest.raises(CurveError, match=r"scores have shape \(5, 2, 1\). Give \(documents, seeds, 2 ranks\)"):
        method_estimate([a], np.ones(2) / 2)
    with pytest.raises(CurveError, match=r"task weights \[1.0, 1.0\] are not 2 numbers that sum to 1"):
        method_estimate([a, b], ONE, task_weights=[1, 1])
    with pytest.raises(UnknownNameError, match=r"unknown unit of seeds 'task'. Known: rank, run"):
        method_estimate([a], ONE, seed_unit="task")
    with pytest.raises(UnknownNameError, match=r"unknown target 'doc'. Did you mean 'docs'"):
        two_way(E3, target="doc")
    with pytest.raises(UnknownNameError, match="unknown pairing of seeds"):
        method_difference([a], [a], ONE, seeds="same")
