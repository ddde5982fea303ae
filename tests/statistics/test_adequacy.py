from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.stats

from aurac.analysis.adequacy import smallest_rank
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, CurveError
from aurac.statistics.equivalence import equivalence, non_inferiority
from statistics_cases import curve

Pair = tuple[RankAccuracyCurve, RankAccuracyCurve]


@pytest.mark.parametrize(("margin", "key", "rank"), [(0.30, "m30", 8), (0.40, "m40", 4)])
def test_the_smallest_rank_of_e6_is_the_reference_one(
    margin: float, key: str, rank: int, e2: Pair, oracles: dict[str, Any]
) -> None:
    found = smallest_rank(e2[0], margin=margin)
    assert found.rank == rank
    for evidence, expected in zip(found.evidence[1:], oracles["E6"][key], strict=True):
        assert (evidence.rank, evidence.loss, evidence.p_value) == (
            expected["r"],
            pytest.approx(expected["delta"], rel=1e-9),
            pytest.approx(expected["p"], rel=1e-9),
        )


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
    # No document of n deviates: p = (1 - margin)^n; 0.95^58 = 0.051, 0.95^59 = 0.0485
    for n, rank in ((58, 2), (59, 1)):
        found = smallest_rank(RankAccuracyCurve.from_scores([1, 2], np.ones((n, 2))), margin=0.05)
        assert found.rank == rank
        assert found.evidence[1].p_value == pytest.approx(0.95**n)
    assert found.evidence[1].upper == pytest.approx(1 - 0.05 ** (1 / 59))
    twice = RankAccuracyCurve.from_scores([1, 2], np.ones((59, 2)))
    assert smallest_rank([twice, twice], margin=0.05).rank == 1


def test_a_task_without_any_difference_is_not_taken_as_exact_in_the_mean_over_tasks() -> None:
    # Task a: 2 of 1000 documents lose. Task b: 64 documents, none differs, which alone gives p = (1 - .01)^64 = .526.
    a = [[0, 1]] * 2 + [[1, 1]] * 998
    tasks = [RankAccuracyCurve.from_scores([1, 2], scores) for scores in (a, [[1, 1]] * 64)]
    found = smallest_rank(tasks, margin=0.01)
    assert found.rank == 2
    assert found.evidence[-1].p_value == pytest.approx(0.99**64)
    assert found.evidence[-1].upper == pytest.approx(1 - 0.05 ** (1 / 64))
    assert smallest_rank(tasks, margin=0.05).rank == 1


def test_the_detectable_margin_has_its_power() -> None:
    # Losses of mean 0: certified with 80 % power for the detectable margin.
    rng, certified, margin = np.random.default_rng(2), 0, 0.0
    for _ in range(600):
        loss = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=500)
        margin = (1.6479 + 0.8424) * np.sqrt(0.2 / 500)  # t quantiles at 499 degrees of freedom
        certified += non_inferiority(loss, margin) <= 0.05
    assert certified / 600 == pytest.approx(0.8, rel=0.06)  # 3 standard errors of 600 draws
    evidence = smallest_rank(
        RankAccuracyCurve.from_scores([1, 2], np.column_stack([(1 - loss) / 2, np.full(500, 0.5)])), margin=margin
    ).evidence[1]
    assert evidence.detectable == pytest.approx((1.6479 + 0.8424) * evidence.stderr, rel=1e-3)  # quantiles of 5 digits


def test_one_rank_is_its_own_answer() -> None:
    found = smallest_rank(RankAccuracyCurve.from_scores([8], [[1.0], [0.0]]))
    assert (found.rank, [e.status for e in found.evidence]) == (8, ["reference"])


def test_the_answer_is_printed_with_evidence_and_goes_through_json(e2: Pair) -> None:
    found = smallest_rank(e2[0], margin=0.4)
    lines = str(found).splitlines()
    assert lines[0] == (
        "rank 4: loses less than 40.00 points to rank 8 (fixed-sequence non-inferiority, alpha 0.05, 12 documents)"
    )
    assert lines[3].split() == ["4", "75.00", "8.33", "14.86", "35.03", "0.028", "certified"]
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


def test_equivalence_is_the_reference_one_and_the_interval_inside_the_margin(oracles: dict[str, Any]) -> None:
    d = np.array(oracles["E2"]["d"])
    for margin, key in ((0.05, "tost_m05"), (0.30, "tost_m30")):
        found = equivalence(d, margin)
        assert (found.p_lower, found.p_upper) == pytest.approx(
            (oracles["E2"][key]["p_lo"], oracles["E2"][key]["p_hi"]), rel=1e-9
        )
        assert found.p_value == max(found.p_lower, found.p_upper)
    low, high = scipy.stats.ttest_1samp(d, 0).confidence_interval(0.90)
    assert equivalence(d, float(high) + 1e-9).p_value < 0.05 < equivalence(d, float(high) - 1e-9).p_value
    assert low > 0


def test_differences_without_spread_need_fractions() -> None:
    assert equivalence(np.zeros(100), 0.05).p_value == pytest.approx(0.95**100)
    assert non_inferiority(np.full(100, 0.5), 0.1) == 1.0
    assert non_inferiority(np.ones(100), 0.1) == 1.0
    with pytest.raises(CurveError, match="an unbounded metric shows no spread"):
        non_inferiority(np.zeros(100), 0.05, bounded=False)


def test_a_loss_of_fractions_is_at_most_1_but_another_metric_has_no_ceiling() -> None:
    scores = np.array([[0.0, 1.0]] * 19 + [[1.0, 1.0]])
    lost = smallest_rank(RankAccuracyCurve.from_scores([1, 2], scores)).evidence[1]
    assert lost.loss + scipy.stats.t.ppf(0.95, 19) * lost.stderr > 1
    assert lost.upper == 1.0
    bits = RankAccuracyCurve.from_scores([1, 2], scores, bounded=False)
    assert smallest_rank(bits).evidence[1].upper == pytest.approx(lost.loss + scipy.stats.t.ppf(0.95, 19) * lost.stderr)


def test_a_loss_that_is_the_same_on_every_document_has_an_unknown_error() -> None:
    lines = str(smallest_rank(RankAccuracyCurve.from_scores([1, 2], [[0, 1]] * 20))).splitlines()
    assert lines[3].split() == ["1", "0.00", "100.00", "?", "100.00", "1.000", "failed"]
