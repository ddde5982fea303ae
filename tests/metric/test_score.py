from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import aurac
from aurac import RankAccuracyCurve, compute
from aurac.errors import CurveError, RefusedError, UnknownNameError
from aurac.signature import Signature
from aurac.statistics.intervals import mean_interval
from tolerance import assert_near, near


def test_a_score_without_documents_has_both_axes_and_no_error(oracles: dict[str, Any]) -> None:
    e1b = oracles["E1b"]
    score = compute([1, 2, 4, 8], e1b["acc"])
    assert score.value == score.value_log2 == near(e1b["v2"])
    assert score.value_linear == near(e1b["v1"])
    assert (score.stderr, score.interval, score.n_documents) == (None, None, None)
    assert "no per-document scores: the error is unknown" in score.warnings
    assert "error unknown" in str(score)


@pytest.mark.parametrize(
    ("key", "axis", "rule"),
    [
        ("v1", "linear", "trapezoid"),
        ("v2", "log2", "trapezoid"),
        ("left_lin", "linear", "left"),
        ("right_lin", "linear", "right"),
        ("left_log2", "log2", "left"),
        ("right_log2", "log2", "right"),
        ("simpson_log2", "log2", "simpson"),
        ("index_trap", "log2", "trapezoid"),
    ],
)
def test_value_error_and_t_interval_are_the_reference_ones(
    key: str, axis: str, rule: str, oracles: dict[str, Any], e1: RankAccuracyCurve
) -> None:
    expected = oracles["E1"][key]
    score = compute(e1, axis=axis, rule=rule, ci="t")
    assert score.value == near(expected["aurac"])
    assert score.stderr == near(expected["se"])
    assert score.interval is not None
    assert (score.interval.low, score.interval.high) == near(expected["t_ci"])
    assert_near(list(score.weights.values()), expected["w"])


def test_the_default_interval_is_wilson_at_the_effective_number_of_documents(
    oracles: dict[str, Any], e1: RankAccuracyCurve
) -> None:
    interval = compute(e1).interval
    assert interval is not None
    assert (interval.low, interval.high) == near(oracles["E7"]["wilson_neff_v2"])
    assert (interval.method, interval.target) == ("wilson", "docs")


def test_clusters_give_the_reference_error_and_an_interval_that_knows_how_few_they_are(
    oracles: dict[str, Any], e1: RankAccuracyCurve
) -> None:
    labels = ["a", "a", "b", "b", "c", "c", "d", "d"]
    score = compute(e1, clusters=labels)
    assert score.stderr == near(oracles["E1"]["cluster_pairs_v2"]["se"])
    assert score.interval is not None
    assert score.signature.inference == {"ci": "wilson95", "target": "docs", "clusters": "4"}
    for end in (score.interval.low, score.interval.high):  # Wilson: (m - x)^2 = t^2 SE^2 x (1 - x) / (m (1 - m))
        excess = abs(score.value - end) * (score.value * (1 - score.value) / (end * (1 - end))) ** 0.5
        assert excess / score.stderr == pytest.approx(3.18244630528371, rel=1e-6)  # t quantile at 3 df, scipy
    by_t = compute(e1, clusters=labels, ci="t").interval
    assert by_t is not None
    assert by_t.high == pytest.approx(score.value + 3.18244630528371 * score.stderr, rel=1e-6)


def test_scores_of_few_passages_near_the_end_stay_inside_and_cover() -> None:
    """15 passages of 6 documents at 96 points: the t interval leaves [0, 1] in 8 of 10 cases and covers 76 %."""
    from scipy.special import ndtr

    rng, truth, labels, covered = np.random.default_rng(0), ndtr(2.5 / 2**0.5), np.repeat(np.arange(15), 6).tolist(), 0
    for _ in range(300):
        y = 2.5 + rng.normal(size=(15, 1)) + rng.normal(size=(15, 6)) > 0
        interval = mean_interval(y.ravel() * 1.0, clusters=labels)
        assert 0 <= interval.low <= interval.high <= 1
        covered += interval.low <= truth <= interval.high
    assert covered / 300 > 0.93


def test_few_passages_near_an_end_have_a_caution() -> None:
    """Measured (docs/validation.md): passages that decide their documents need 5 passages' worth of the rarer kind."""
    y = np.ones((100, 2))
    y[:10] = 0  # one passage of ten is all wrong: 90 points
    few = np.repeat(np.arange(10), 10).tolist()
    said = compute(RankAccuracyCurve.from_scores((1, 2), y), clusters=few).warnings
    assert any("that are wrong would fill 1.0 of 10 passages" in each for each in said)
    said = compute(RankAccuracyCurve.from_scores((1, 2), 1 - y), clusters=few).warnings
    assert any("that are right would fill 1.0 of 10 passages" in each for each in said)
    many = np.arange(100).tolist()  # the same documents are 10 passages of 100
    assert not any(
        "passages" in each for each in compute(RankAccuracyCurve.from_scores((1, 2), y), clusters=many).warnings
    )


def test_the_error_is_the_quadratic_form_of_the_covariance_between_ranks(e1: RankAccuracyCurve) -> None:
    score = compute(e1)
    assert e1.scores is not None
    w = np.array(list(score.weights.values()))
    assert score.stderr == near(np.sqrt(w @ np.cov(e1.scores.T) @ w / 8))


def test_simpson_has_no_linear_value(e1: RankAccuracyCurve) -> None:
    score = compute(e1, rule="simpson")
    assert score.value_linear is None
    assert "linear refused" in str(score)


def test_partial_ranges_and_priors_are_in_the_signature(e1: RankAccuracyCurve, oracles: dict[str, Any]) -> None:
    part = compute(e1, axis="linear", within=(3, 6))
    assert part.value == near(oracles["E1"]["partial_3_6_v1"])
    assert part.value_log2 == near(oracles["E1"]["partial_3_6_v2"])
    assert part.signature.score["within"] == "3-6"
    mix = compute(e1, rule="prior", prior={1: 0, 2: 0, 4: 1, 8: 1})
    assert mix.value == mix.value_linear == 0.625  # (0.5 + 0.75) / 2
    assert mix.signature.score["prior"] == "0-0-0.5-0.5"
    averaged = compute([1, 1, 2], [0.2, 0.4, 0.5], duplicates="mean")
    assert averaged.signature.score["duplicates"] == "mean"


def test_one_rank_is_its_accuracy_with_a_warning() -> None:
    score = compute({64: 0.5})
    assert score.value == score.value_linear == 0.5
    assert "one rank: the score is the accuracy at rank 64, not an area" in score.warnings
    assert score.signature.score["ranks"] == "64"


def test_one_document_has_no_error() -> None:
    score = compute(RankAccuracyCurve.from_scores([1, 2], [[0.0, 1.0]]))
    assert (score.value, score.stderr, score.interval) == (0.5, None, None)
    assert "one document has no spread, so the error is unknown" in score.warnings


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_or_all_wrong_keeps_an_interval_of_some_width(right: float) -> None:
    curve = RankAccuracyCurve.from_scores([1, 2], np.full((50, 2), right))
    score = compute(curve)
    assert (score.value, score.stderr) == (right, 0.0)
    assert score.interval is not None
    # Wilson for 50 of 50: 50 / (50 + 1.96^2) = 0.92865
    ends = (1 - score.interval.high, 1 - score.interval.low) if right else (score.interval.low, score.interval.high)
    assert ends == near((0.0, 1 - 50 / (50 + 3.841458820694124)))
    in_pairs = compute(curve, clusters=np.repeat(np.arange(25), 2).tolist())
    assert in_pairs.interval is not None
    assert in_pairs.interval.method == "wilson"
    assert in_pairs.interval.high - in_pairs.interval.low == pytest.approx(1 - 25 / (25 + 3.841458820694124))


def test_unbounded_metrics_get_a_t_interval_and_their_own_unit() -> None:
    curve = RankAccuracyCurve.from_scores(
        [1, 2], [[3.0, 2.0], [4.0, 3.0]], bounded=False, higher_is_better=False, metric="bits_per_byte"
    )
    score = compute(curve)
    assert score.interval is not None
    assert score.interval.method == "t"
    assert str(score).startswith("AURAC 3 ± 0.5 (standard error over 2 documents")
    assert "lower is better" in str(score)


def test_a_grid_that_matters_and_weights_on_few_ranks_are_warned_about() -> None:
    steep = compute([1, 2, 4, 8, 16, 32, 64, 128], [0.1, 0.1, 0.1, 0.4, 0.4, 0.6, 0.6, 0.9], axis="linear")
    assert "ranks 64 and 128 carry 63 % of the weight (K_eff 3.9 of 8)" in steep.warnings
    bent = compute([1, 2, 4, 8, 16], [0.2, 0.9, 0.2, 0.9, 0.2])
    assert "on the ranks 1-4-16 alone the score would change by −35.0 points: another grid of ranks is another " \
        "metric" in bent.warnings  # fmt: skip


def test_two_and_three_ranks_say_what_they_leave_open() -> None:
    # Rising from .2 to .8: the left rule gives .2, the right rule .8; with .5 between, (.2 + .5) / 2 and (.5 + .8) / 2.
    two = compute([1, 128], [0.2, 0.8]).warnings
    assert any(text.startswith("2 ranks leave the area between 20.0 and 80.0 open") for text in two)
    three = compute([1, 4, 16], [0.2, 0.5, 0.8]).warnings
    assert any(text.startswith("3 ranks leave the area between 35.0 and 65.0 open") for text in three)
    assert not any("leave the area" in text for text in compute([1, 2], [0.50, 0.51]).warnings)


def test_an_interval_so_near_an_end_that_it_covers_less_says_so() -> None:
    scores = np.ones((60, 2))
    scores[0] = 0
    near = RankAccuracyCurve.from_scores([1, 2], scores)
    assert any("so near 1 the 95% interval over 60 documents" in text for text in compute(near).warnings)
    few = compute(RankAccuracyCurve.from_scores([1, 2], scores[:12])).warnings
    assert "12 documents: intervals of fewer than 20 are rough" in few


def test_a_t_interval_near_the_ceiling_is_warned_about() -> None:
    scores = np.ones((50, 2))
    scores[0] = 0
    warnings = compute(RankAccuracyCurve.from_scores([1, 2], scores), ci="t").warnings
    assert any("t interval covers too rarely; use ci='wilson'" in text for text in warnings)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ci": "wald"}, UnknownNameError, "unknown interval 'wald'"),
        ({"ci": "independent-ranks"}, RefusedError, "covers 55-77 %. Keep per-document scores"),
        ({"ci": "studentized-bootstrap"}, RefusedError, "Use ci='wilson' or 'bca'"),
        ({"axis": "linear", "rule": "simpson"}, RefusedError, "oscillate"),
        ({"confidence_level": 95}, CurveError, "confidence level 95 is not between 0 and 1"),
        ({"clusters": ["a"] * 8}, CurveError, "all documents are in one cluster"),
        ({"clusters": ["a", "b"]}, CurveError, "2 cluster labels for 8 documents"),
        ({"clusters": list("aabbccdd"), "ci": "bca"}, CurveError, "not clusters. Use ci='t'"),
    ],
)
def test_bad_options_say_what_to_do(
    options: dict[str, Any], error: type[Exception], message: str, e1: RankAccuracyCurve
) -> None:
    with pytest.raises(error, match=message):
        compute(e1, **options)


def test_error_bars_without_documents_are_refused() -> None:
    for options in ({"ci": "t"}, {"clusters": ["a"]}):
        with pytest.raises(CurveError, match="errors of single ranks cannot be combined"):
            compute({1: 0.5, 2: 0.6}, **options)


def test_the_confidence_level_is_checked_where_there_is_no_interval_too() -> None:
    with pytest.raises(CurveError, match="confidence level 95 is not between 0 and 1"):
        compute({1: 0.5, 2: 0.6}, confidence_level=95)


def test_wilson_needs_fractions() -> None:
    curve = RankAccuracyCurve.from_scores([1, 2], [[3.0, 2.0], [4.0, 3.0]], bounded=False)
    with pytest.raises(CurveError, match="ci='wilson' needs scores in"):
        compute(curve, ci="wilson")


def test_a_score_goes_through_json_and_its_signature_is_readable(e1: RankAccuracyCurve) -> None:
    score = compute(e1)
    content = json.loads(json.dumps(score.to_dict(), allow_nan=False))
    assert content["value"] == score.value
    assert content["interval"]["method"] == "wilson"
    assert content["weights"] == {str(rank): weight for rank, weight in score.weights.items()}
    assert Signature.parse(content["signature"]) == score.signature


def test_the_printed_score_is_whole(e1: RankAccuracyCurve) -> None:
    assert str(compute(e1, ci="t")).splitlines()[:6] == [
        "AURAC 45.83 ± 13.27 (standard error over 8 documents; 95% t interval 14.45 to 77.21, target: docs)",
        "  trapezoid rule on the log2 axis (log2 45.83, linear 52.68); K_eff 3.60 of 4 ranks",
        "    rank  weight  accuracy",
        "       1  0.1667     25.00",
        "       2  0.3333     37.50",
        "       4  0.3333     50.00",
    ]


def test_the_order_of_documents_and_ranks_changes_nothing(e1: RankAccuracyCurve) -> None:
    assert e1.scores is not None
    order = np.random.default_rng(0).permutation(8)
    shuffled = RankAccuracyCurve.from_scores([8, 2, 1, 4], e1.scores[order][:, [3, 1, 0, 2]])
    a, b = compute(e1), compute(shuffled)
    assert (a.value, a.stderr) == near((b.value, b.stderr))


def test_public_names_are_reachable_from_the_package() -> None:
    assert aurac.weights([1, 2]).tolist() == [0.5, 0.5]
    assert isinstance(compute({1: 0.5}), aurac.AuracScore)
