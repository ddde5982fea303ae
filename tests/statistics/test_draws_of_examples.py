"""Draws of few-shot examples as a factor beside documents, alone or together with training seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import aurac
from aurac.analysis.adequacy import smallest_rank
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.errors import CurveError
from aurac.quadrature import weights
from aurac.statistics.next_seed import next_seed_interval
from aurac.statistics.over_seeds import effective_df, method_contrast, method_interval, method_score
from aurac.statistics.seeds import two_way

DRAWS = ("1", "2", "3")
ONE = [np.ones(1)]


def run_of(values: Any, ranks: Any = (1,), **about: Any) -> RankAccuracyCurve:
    """A run with scores of shape (documents, draws, ranks)."""
    y = np.asarray(values, dtype=float)
    labels = tuple(map(str, range(1, y.shape[1] + 1)))
    keys = [f"d{i}" for i in range(len(y))]
    return RankAccuracyCurve.from_scores(
        ranks, y.mean(axis=1), prompts=SeedScores(y, labels), documents=keys, task="t", metric="acc", **about
    )


def test_the_error_of_a_run_has_parts_for_documents_and_for_draws() -> None:
    values = [[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]]  # draws differ by 0.2, documents by 0.4, nothing else
    found = method_score([run_of(np.array(values)[:, :, None])], ONE, target="docs+prompts")
    parts = {part.source: part.variance for part in found.parts}
    assert parts == pytest.approx(
        {"documents": 0.16 / 3, "prompts": 0.02 / 2, "prompt cells": 0.0}, rel=1e-9, abs=1e-15
    )
    assert found.stderr == pytest.approx((0.16 / 3 + 0.01) ** 0.5)
    assert found.df == pytest.approx((0.16 / 3 + 0.01) ** 2 / ((0.16 / 3) ** 2 / 2 + 0.01**2 / 1))
    same = two_way(values, target="docs+prompts")
    assert (found.value, found.stderr, found.df) == pytest.approx((same.value, same.stderr, same.df))


def test_seeds_and_draws_and_documents_add_up_where_their_effects_do() -> None:
    documents, seeds, draws = np.array([0.1, 0.3, 0.5, 0.7]), np.array([0.0, 0.1, 0.05]), np.array([0.0, 0.02, 0.1])
    y = documents[:, None, None] + seeds[:, None] + draws  # (documents, seeds, draws)
    method = RankAccuracyCurve.from_seeds([run_of(y[:, s, :, None]) for s in range(3)], ["42", "43", "44"])
    alone = [values.var(ddof=1) / len(values) for values in (documents, seeds, draws)]
    found = method_score([method], ONE, target="docs+seeds+prompts")
    assert found.value == pytest.approx(y.mean())
    assert found.stderr**2 == pytest.approx(sum(alone))
    assert method_score([method], ONE, target="docs+seeds").stderr ** 2 == pytest.approx(alone[0] + alone[1])
    assert method_score([method], ONE, target="docs").stderr ** 2 == pytest.approx(alone[0])
    score = aurac.compute(method)
    assert score.interval is not None
    assert score.interval.target == "docs+seeds+prompts"
    assert score.stderr == pytest.approx(found.stderr)
    predicted = next_seed_interval([method], ONE, target="docs+seeds+prompts")
    assert predicted is not None
    assert predicted.target == "docs+seeds+prompts"


def test_draws_that_change_nothing_leave_the_error_over_documents() -> None:
    y = np.repeat(np.random.default_rng(0).random((30, 1, 2)), 3, axis=1)
    curve = run_of(y, ranks=(1, 2))
    plain = RankAccuracyCurve.from_scores((1, 2), y[:, 0])
    assert aurac.compute(curve).stderr == pytest.approx(aurac.compute(plain).stderr)


def test_a_difference_is_taken_under_the_same_prompts() -> None:
    rng = np.random.default_rng(1)
    w = weights((1, 2))
    a, b = (rng.random((25, 3, 2)) for _ in range(2))
    found = method_contrast([run_of(a, (1, 2))], [run_of(b, (1, 2))], target="docs+prompts")
    expected = two_way((a - b) @ w, target="docs+prompts")
    assert (found.value, found.stderr, found.df) == pytest.approx((expected.value, expected.stderr, expected.df))
    two = method_contrast([run_of(a[:, :2], (1, 2))], [run_of(b[:, :2], (1, 2))], target="docs+prompts")
    assert two.p_value is None  # two draws leave one degree of freedom


def test_one_draw_has_no_error_over_draws() -> None:
    plain = RankAccuracyCurve.from_scores((1,), [[0.0], [1.0]])
    with pytest.raises(CurveError, match=r"a curve has one draw of few-shot examples, .* \(--fewshot-seeds 1,2,3\)"):
        method_score([plain], ONE, target="docs+prompts")


def test_ranks_and_documents_are_selected_under_every_draw() -> None:
    y = np.random.default_rng(2).random((5, 3, 2))
    curve = run_of(y, ranks=(1, 4)).select_ranks([4]).select_documents(["d3", "d0"]).named("x")
    assert curve.prompts is not None
    np.testing.assert_array_equal(curve.prompts.values, y[[3, 0]][:, :, [1]])
    assert curve.clustered(["a", "b"]).prompts is not None
    with pytest.raises(CurveError, match="scores are not the means over the seeds, or over the draws"):
        RankAccuracyCurve.from_scores((1, 4), y[:, 0], prompts=SeedScores(y, DRAWS))


def test_a_method_keeps_the_draws_that_all_its_trainings_have() -> None:
    y = np.random.default_rng(3).random((5, 3, 1))
    other = run_of(y[:, :2])
    assert RankAccuracyCurve.from_seeds([run_of(y), run_of(y)], ["1", "2"]).prompts is not None
    assert RankAccuracyCurve.from_seeds([run_of(y), other], ["1", "2"]).prompts is None


def test_a_rank_is_certified_over_the_draws_too() -> None:
    rng = np.random.default_rng(4)
    full = (rng.random((400, 3)) < 0.7) * 1.0
    lower = np.where(rng.random((400, 3)) < 0.004, 0.0, full)
    steady = smallest_rank(run_of(np.stack([lower, full], axis=2), (4, 8)), margin=0.03)
    assert (steady.rank, steady.target) == (4, "docs+prompts")
    lower[:, 0] = np.where(rng.random(400) < 0.06, 0.0, full[:, 0])  # one draw loses much, the others nothing
    unsteady = run_of(np.stack([lower, full], axis=2), (4, 8))
    assert smallest_rank(unsteady, margin=0.03).rank == 8
    fixed = RankAccuracyCurve.from_scores((4, 8), unsteady.scores)
    assert smallest_rank(fixed, margin=0.03).rank == 4  # under these examples it does not


@pytest.mark.parametrize(("common", "own"), [(0.0, 0.5), (0.1, 0.5)])
def test_intervals_cover_as_often_as_they_say_whether_examples_are_common_or_each_documents_own(
    common: float, own: float
) -> None:
    """A probit model: documents, draws that move all of them, noise of each prompt; 400 worlds, +- .022 for .95.

    Where draws move all documents by little, the interval is somewhat too wide: 1.96 turns into 2.8.
    """
    from scipy.special import ndtr

    rng, n, covered = np.random.default_rng(5), 150, 0
    truth = ndtr(0.5 / (1 + common**2 + own**2) ** 0.5)
    for _ in range(400):
        y = 0.5 + rng.normal(size=(n, 1)) + common * rng.normal(size=3) + own * rng.normal(size=(n, 3)) > 0
        curve = run_of(y[:, :, None])
        estimate = method_score([curve], ONE, target="docs+prompts")
        interval = method_interval(estimate, [curve], ONE)
        covered += interval.low <= truth <= interval.high
    assert 0.928 <= covered / 400 <= 0.985


def test_noise_of_single_prompts_does_not_take_degrees_of_freedom() -> None:
    """Where every document has examples of its own, the spread between draws is that noise alone."""
    rng = np.random.default_rng(6)
    y = (rng.random((300, 1)) + 0.3 * rng.normal(size=(300, 3)) > 0.5) * 1.0
    noisy = two_way(y, target="docs+prompts")
    assert effective_df(noisy) == noisy.df > 10
    moved = two_way(y + np.array([0.0, 0.1, 0.3]), target="docs+prompts")
    assert effective_df(moved) <= 4


def test_few_draws_that_are_most_of_the_error_have_a_caution() -> None:
    rng = np.random.default_rng(8)
    y = 0.4 * rng.random((200, 1, 1)) + 0.1 * rng.random((200, 3, 1))
    moved = run_of(y + np.array([0.0, 0.1, 0.4])[:, None])
    assert any("draws of few-shot examples, so the interval covers up to" in w for w in aurac.compute(moved).warnings)
    assert not any("draws of few-shot" in warning for warning in aurac.compute(run_of(y)).warnings)
