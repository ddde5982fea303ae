from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from aurac.analysis.adequacy import smallest_rank
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.statistics.equivalence import equivalence, non_inferiority
from aurac.statistics.non_inferiority import loss_p, loss_test
from aurac.statistics.score_interval import score_inputs, score_interval
from aurac.statistics.tilting import collapse, constrained_error
from statistics_cases import curve

Pair = tuple[RankAccuracyCurve, RankAccuracyCurve]


CASES = json.loads((Path(__file__).parent / "non_inferiority.json").read_text())["cases"]


def losses_of(case: dict[str, Any]) -> list[np.ndarray]:
    return [np.repeat([v for v, _ in task], [count for _, count in task]) for task in case["losses"]]


@pytest.mark.parametrize("kind", sorted({case["kind"] for case in CASES}))
def test_the_p_value_is_the_reference_one_and_the_bound_inverts_it(kind: str) -> None:
    for case in (case for case in CASES if case["kind"] == kind):
        tasks = [collapse(v, weight=1 / len(case["losses"])) for v in losses_of(case)]
        found = loss_test(tasks, case["margin"])
        assert found.p_value == pytest.approx(case["p"], rel=1e-6)
        assert loss_p(tasks, found.upper) == pytest.approx(0.05, rel=1e-6)
        assert loss_p(tasks, found.upper + 1e-4) < 0.05


@pytest.mark.filterwarnings("ignore:Values in x were outside bounds")  # said by scipy 1.15
def test_the_constrained_estimate_is_the_likeliest_distribution_of_its_mean() -> None:
    # Against a general optimiser on the probabilities of the seen values and of an unseen loss of 1.
    values, counts, margin = np.array([-0.5, 0.0, 0.25, 1.0]), np.array([3, 40, 5, 0]), 0.15
    seen = collapse(np.repeat(values, counts))
    start = np.array([0.05, 0.65, 0.2, 0.1])
    best = scipy.optimize.minimize(
        lambda p: -(counts[:3] @ np.log(p[:3])),
        start,
        bounds=[(1e-9, 1)] * 4,
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "eq", "fun": lambda p: p @ values - margin},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    ).x
    variance = best @ (values - margin) ** 2
    assert constrained_error([seen], margin) == pytest.approx(np.sqrt(variance / 48), rel=1e-4)  # SLSQP


@given(
    st.lists(st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.1, 1.0]), min_size=1, max_size=40), min_size=1, max_size=4),
    st.floats(0.001, 0.999),
)
def test_any_losses_have_a_p_value_a_bound_and_a_detectable_margin(losses: list[list[float]], margin: float) -> None:
    tasks = [collapse(v, weight=1 / len(losses)) for v in losses]
    mean = np.mean([np.mean(v) for v in losses])
    found = loss_test(tasks, margin)
    assert 0 <= found.p_value <= 0.5
    assert found.p_value == 0.5 or mean < margin
    assert mean - 1e-9 <= found.upper <= 1
    assert 0 < found.detectable <= 1


def test_the_smallest_rank_is_certified_by_the_score_test(e2: Pair) -> None:
    assert e2[0].scores is not None
    found = smallest_rank(e2[0], margin=0.40)
    assert found.rank == 4
    loss = e2[0].scores[:, 3] - e2[0].scores[:, 2]  # 2 lost, 1 won of 12
    assert found.evidence[1].p_value == pytest.approx(tango_p(2, 1, 12, 0.4), rel=1e-6)
    assert found.evidence[1].loss == pytest.approx(loss.mean())
    assert smallest_rank(e2[0], margin=0.30).rank == 8


def tango_p(lost: int, won: int, n: int, margin: float) -> float:
    """Tango's (1998) closed form, for right and wrong answers."""
    a, b, c = 2 * n, -lost - won + (2 * n - lost + won) * margin, -won * margin * (1 - margin)
    q = (np.sqrt(b * b - 4 * a * c) - b) / (2 * a)
    z = (lost - won - n * margin) / np.sqrt(n * (2 * q + margin * (1 - margin)))
    return float(scipy.stats.norm.cdf(z))


def test_the_sequence_stops_at_the_first_failure() -> None:
    # Rank 1 equals rank 4 on every document, rank 2 is far worse: rank 1 is not tested.
    data = RankAccuracyCurve.from_scores(
        [1, 2, 4], np.column_stack([np.ones(300), np.tile([0, 1, 1], 100), np.ones(300)])
    )
    found = smallest_rank(data, margin=0.05)
    assert found.rank == 4
    assert [(e.rank, e.status) for e in found.evidence] == [(4, "reference"), (2, "failed"), (1, "not tested")]


def test_the_upper_bound_is_the_smallest_margin_that_is_certified(e2: Pair) -> None:
    bound = smallest_rank(e2[0], margin=0.3).evidence[1].upper
    assert smallest_rank(e2[0], margin=bound + 1e-9).rank == 4
    assert smallest_rank(e2[0], margin=bound - 1e-9).rank == 8


def test_lower_is_better_turns_the_loss_round() -> None:
    rng = np.random.default_rng(0)
    full = rng.normal(1.0, 0.3, 500)
    scores = np.column_stack([full + rng.normal(0.2, 0.1, 500), full + rng.normal(0, 0.01, 500), full])
    found = smallest_rank(
        RankAccuracyCurve.from_scores([1, 2, 4], scores, bounded=False, higher_is_better=False), margin=0.05
    )
    assert found.rank == 2
    assert found.evidence[2].loss == pytest.approx(0.2, rel=0.1)  # 4 standard errors of 500 documents
    assert "loses less than 0.05 to rank 4" in str(found)


def test_several_tasks_are_tested_on_their_mean() -> None:
    rng = np.random.default_rng(1)
    tasks = [RankAccuracyCurve.from_scores([1, 2], (rng.random((n, 2)) < [0.2, 0.6]).astype(float)) for n in (100, 400)]
    found = smallest_rank(tasks, margin=0.6)
    losses = [c.scores[:, 1] - c.scores[:, 0] for c in tasks if c.scores is not None]
    assert found.evidence[1].loss == pytest.approx(np.mean([x.mean() for x in losses]))
    assert found.evidence[1].stderr == pytest.approx(np.hypot(*(scipy.stats.sem(x) for x in losses)) / 2)
    assert (found.rank, found.n_documents) == (1, 500)


def test_ranks_that_never_differ_are_certified_only_by_enough_documents() -> None:
    # No document of n deviates: z = -sqrt(n * 0.05 / 0.95), which passes -1.645 at n = 1.645^2 * 19 = 51.4.
    for n, rank in ((51, 2), (52, 1)):
        found = smallest_rank(RankAccuracyCurve.from_scores([1, 2], np.ones((n, 2))), margin=0.05)
        assert found.rank == rank
        assert found.evidence[1].p_value == pytest.approx(scipy.stats.norm.cdf(-np.sqrt(n / 19)), rel=1e-9)
    assert found.evidence[1].upper == pytest.approx(1.6448536**2 / (52 + 1.6448536**2), rel=1e-6)


def test_a_task_without_any_difference_is_neither_exact_nor_in_the_way_of_the_mean() -> None:
    def flat(n: int) -> RankAccuracyCurve:
        return RankAccuracyCurve.from_scores([1, 2], np.ones((n, 2)))

    # The worst case that a mean of 2 points leaves is 6 points on the smallest task: (1 - .06)^64 = .019.
    tasks = [flat(256), flat(256), flat(64)]
    assert smallest_rank(tasks, margin=0.02).rank == 1
    assert smallest_rank(tasks, margin=0.005).rank == 2
    assert smallest_rank(tasks[2], margin=0.02).rank == 2
    # Its own information is that of 64 documents; one that has 1000 more documents is certified for less.
    with_few, with_many = (smallest_rank([flat(256), flat(n)], margin=0.02).evidence[1].upper for n in (64, 1064))
    assert with_few > 2 * with_many


def test_documents_that_share_a_passage_count_as_the_passage() -> None:
    # 400 documents in 40 passages of 10 that are lost or kept as a whole: one passage lost.
    lost = np.zeros(400)
    lost[:10] = 1
    scores = np.column_stack([1 - lost, np.ones(400)])
    keys = [f"d{i}" for i in range(400)]
    plain = RankAccuracyCurve.from_scores([1, 2], scores, documents=keys)
    passages = plain.clustered([str(i // 10) for i in range(400)])
    alone, together = (smallest_rank(curve, margin=0.06).evidence[1] for curve in (plain, passages))
    assert alone.loss == together.loss
    assert alone.p_value is not None
    assert together.p_value is not None
    assert (alone.p_value < 0.01, together.p_value > 0.1) == (True, True)
    assert together.upper > 2 * alone.upper
    assert together.stderr == pytest.approx(scipy.stats.sem(lost.reshape(40, 10).mean(axis=1)))


def test_the_rank_of_a_method_counts_the_spread_of_its_seeds() -> None:
    # Seed by seed, rank 1 loses 0, 2 and 4 points on 1000 documents: certain for these adapters, not for the next one.
    full, keys = np.ones(1000), [f"d{i}" for i in range(1000)]
    seeds = []
    for lost in (0, 20, 40):
        here = full.copy()
        here[:lost] = 0
        seeds.append(RankAccuracyCurve.from_scores([1, 2], np.column_stack([here, full]), documents=keys))
    method = RankAccuracyCurve.from_seeds(seeds, ["1", "2", "3"])
    about_method = smallest_rank(method, margin=0.035)
    evidence = about_method.evidence[1]
    assert about_method.rank == 2
    # Three seeds with a standard deviation of 2 points: an error of 2 / sqrt(3), and 2 to 4 degrees of freedom.
    assert evidence.stderr == pytest.approx(0.02 / np.sqrt(3), rel=0.05)
    assert evidence.upper > evidence.loss + 2.1 * evidence.stderr
    one = RankAccuracyCurve.from_scores([1, 2], method.scores, documents=keys)  # type: ignore[arg-type]
    assert smallest_rank(one, margin=0.035).rank == 1


def test_the_detectable_margin_has_its_power() -> None:
    # Losses of mean 0: certified with 80 % power for the detectable margin.
    rng, certified = np.random.default_rng(2), 0
    for _ in range(600):
        loss = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=500)
        found = loss_test([collapse(loss)], 0.05)
        certified += non_inferiority(loss, found.detectable) <= 0.05
    assert certified / 600 == pytest.approx(0.8, rel=0.06)  # 3 standard errors of 600 draws
    still = np.repeat([-1.0, 0.0, 1.0], [50, 400, 50])
    expected = (1.6449 + 0.8416) * np.sqrt(0.2 / 500)  # with the error at a loss of 0
    assert loss_test([collapse(still)], 0.05).detectable == pytest.approx(expected, rel=0.02)


def test_one_rank_is_its_own_answer() -> None:
    found = smallest_rank(RankAccuracyCurve.from_scores([8], [[1.0], [0.0]]))
    assert (found.rank, [e.status for e in found.evidence]) == (8, ["reference"])


def test_the_answer_is_printed_with_evidence_and_goes_through_json(e2: Pair) -> None:
    found = smallest_rank(e2[0], margin=0.4)
    lines = str(found).splitlines()
    assert lines[0] == (
        "rank 4: loses less than 40.00 points to rank 8 (fixed-sequence non-inferiority, alpha 0.05, 12 documents)"
    )
    assert lines[3].split() == ["4", "75.00", "8.33", "14.86", "34.47", "0.024", "certified"]
    assert lines[6].startswith("rank 2 cannot be certified. With these documents a rank that loses nothing would be")
    assert lines[7] == "fewer than 10 documents differ from full rank at rank 4, 2: the test is rough there."
    assert json.loads(json.dumps(found.to_dict()))["evidence"][1]["status"] == "certified"
    assert str(smallest_rank(e2[0], margin=0.01)).startswith(
        "rank 8: no smaller rank is certified for a margin of 1.00"
    )


def test_what_cannot_be_answered_says_why(e2: Pair) -> None:
    a = e2[0]
    with pytest.raises(CurveError, match=r"margin 0 is not positive. Give the largest loss that is acceptable"):
        smallest_rank(a, margin=0)
    with pytest.raises(CurveError, match=r"alpha 0.5 is not between 0 and 0.5"):
        smallest_rank(a, alpha=0.5)
    with pytest.raises(CurveError, match="no per-document scores, so no rank can be certified"):
        smallest_rank(RankAccuracyCurve([1, 2], [0.1, 0.2]))
    with pytest.raises(CurveError, match="one document has no spread, so no rank"):
        smallest_rank(RankAccuracyCurve.from_scores([1, 2], [[1.0, 1.0]]))
    with pytest.raises(CurveError, match="no curves were given"):
        smallest_rank([])
    with pytest.raises(ComparisonError, match="tasks were scored at different ranks"):
        smallest_rank([a, a.select_ranks([1, 2])])
    with pytest.raises(ComparisonError, match="different units or directions"):
        smallest_rank([a, curve("0011 0001", higher_is_better=False)])


def test_equivalence_is_the_score_interval_inside_the_margin(oracles: dict[str, Any]) -> None:
    d = np.array(oracles["E2"]["d"])
    interval = score_interval(score_inputs([d]), confidence_level=0.90)
    margin = max(interval.high, -interval.low)
    assert equivalence(d, margin + 1e-9).p_value < 0.05 < equivalence(d, margin - 1e-9).p_value
    found = equivalence(d, 0.3)
    assert found.p_value == max(found.p_lower, found.p_upper)
    assert found.value == pytest.approx(d.mean())


def test_equivalence_of_unbounded_scores_is_the_reference_one(oracles: dict[str, Any]) -> None:
    d = np.array(oracles["E2"]["d"])
    for margin, key in ((0.05, "tost_m05"), (0.30, "tost_m30")):
        found = equivalence(d, margin, bounded=False)
        assert (found.p_lower, found.p_upper) == pytest.approx(
            (oracles["E2"][key]["p_lo"], oracles["E2"][key]["p_hi"]), rel=1e-9
        )


def test_differences_without_spread_need_fractions() -> None:
    assert equivalence(np.zeros(100), 0.05).p_value == pytest.approx(scipy.stats.norm.cdf(-np.sqrt(100 / 19)), rel=1e-9)
    assert non_inferiority(np.full(100, 0.5), 0.1) == 0.5
    assert non_inferiority(np.ones(100), 0.1) == 0.5
    assert non_inferiority(np.zeros(2), 1.0) == 0.0
    with pytest.raises(CurveError, match="an unbounded metric shows no spread"):
        non_inferiority(np.zeros(100), 0.05, bounded=False)
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(CurveError, match=r"is not positive. Give the largest loss"):
            non_inferiority(np.zeros(100), margin)


def test_a_loss_of_fractions_is_at_most_1_but_another_metric_has_no_ceiling() -> None:
    scores = np.array([[0.0, 1.0]] * 19 + [[1.0, 1.0]])
    lost = smallest_rank(RankAccuracyCurve.from_scores([1, 2], scores)).evidence[1]
    assert lost.loss + scipy.stats.t.ppf(0.95, 19) * lost.stderr > 1
    assert lost.loss < lost.upper < 1.0
    bits = RankAccuracyCurve.from_scores([1, 2], scores, bounded=False)
    assert smallest_rank(bits).evidence[1].upper == pytest.approx(lost.loss + scipy.stats.t.ppf(0.95, 19) * lost.stderr)


def test_a_loss_that_is_the_same_on_every_document_has_an_unknown_error() -> None:
    lines = str(smallest_rank(RankAccuracyCurve.from_scores([1, 2], [[0, 1]] * 20))).splitlines()
    assert lines[3].split() == ["1", "0.00", "100.00", "?", "100.00", "0.500", "failed"]
