"""`compare(by="method")`: errors and tests with documents and training seeds both random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import aurac
from aurac.analysis.compared import MACRO
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.results import Run
from aurac.statistics.seeds import method_difference, method_estimate
from runs_by_hand import RANKS, curve
from seeds_by_hand import SEEDS, TASKS, W, scores, trained, two_methods


@pytest.fixture
def runs() -> list[Run]:
    return two_methods()


@pytest.mark.parametrize("target", ["docs", "docs+seeds"])
def test_tasks_with_other_ranks_have_weights_of_their_own_in_the_mean(runs: list[Run], target: str) -> None:
    runs = [
        replace(run, curves={"arc": run.curve("arc").select_ranks([1, 2, 8]), "hella": run.curve("hella")})
        for run in runs
    ]
    comparison = compare(runs, by="method", target=target)
    values = [comparison.results[name, MACRO].value for name in ("dylora", "lora")]
    found = comparison.results["dylora", MACRO]
    assert found.difference is not None
    assert found.difference.value == pytest.approx(values[0] - values[1], rel=1e-12)
    assert found.interval is not None
    assert found.interval.low < values[0] < found.interval.high


def test_equal_methods_differ_by_nothing_whatever_their_numbers_of_seeds() -> None:
    scores = np.random.default_rng(0).random((40, 4))
    same = RankAccuracyCurve.from_scores(RANKS, scores, documents=[f"d{i}" for i in range(40)], task="arc")
    groups = {name: [Run(f"{name}{s}", None, {}, {"arc": same}) for s in range(n)] for name, n in (("a", 4), ("b", 3))}
    for target in ("seeds", "docs+seeds", "docs"):
        found = compare(groups, target=target).results["b", "arc"].difference
        assert found is not None
        assert (found.value, found.p_value, found.higher, found.lower) == (0.0, 1.0, 0, 0)


def test_where_nothing_is_random_there_is_no_error_and_no_test(runs: list[Run]) -> None:
    comparison = compare(runs, by="method", target="benchmark")
    assert comparison.results["dylora", "arc"].stderr is None
    assert not comparison.pairs
    assert compare(runs, target="benchmark").results["dylora-42", "arc"].stderr is None


def test_score_and_difference_are_those_of_the_two_way_estimator(runs: list[Run]) -> None:
    comparison = compare(runs, by="method", baseline="lora")
    lora, dylora = scores(runs[:3], "arc"), scores(runs[3:], "arc")
    expected = method_estimate([dylora], W)
    found = comparison.results["dylora", "arc"]
    assert (found.value, found.stderr) == pytest.approx((expected.value, expected.stderr), rel=1e-12)
    difference = method_difference([dylora], [lora], W, seeds="shared")
    assert found.difference is not None
    assert found.difference.value == pytest.approx(difference.value, rel=1e-12)
    assert found.difference.stderr == pytest.approx(difference.stderr, rel=1e-12)
    assert found.difference.df == pytest.approx(difference.df)
    # 40 documents, of which few are lost: the interval is not narrower than what they say without seeds.
    over_seeds, alone = difference.interval(0.95), compare(runs, by="method", baseline="lora", target="docs")
    documents = alone.results["dylora", "arc"].difference
    assert documents is not None
    assert documents.interval.method == "score"
    interval = found.difference.interval
    assert interval.low == pytest.approx(min(over_seeds.low, documents.interval.low), rel=1e-12)
    assert interval.high == pytest.approx(max(over_seeds.high, documents.interval.high), rel=1e-12)


def test_with_documents_enough_the_difference_of_methods_has_the_t_interval_of_the_two_way_estimator() -> None:
    def method(seeds: range, shift: float) -> list[RankAccuracyCurve]:
        return [curve("arc", seed, n=800, shift=shift + 0.01 * (seed % 3)) for seed in seeds]

    groups = {
        name: [Run(f"{name}{k}", None, {"identity": {"adapter": {"seed": k}}}, {"arc": c}) for k, c in enumerate(made)]
        for name, made in (("a", method(range(3), 0.0)), ("b", method(range(10, 13), 0.02)))
    }
    found = compare(groups).results["b", "arc"].difference
    expected = method_difference([scores(groups["b"], "arc")], [scores(groups["a"], "arc")], W, seeds="shared")
    interval = expected.interval(0.95)
    assert found is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.interval.method == "t"


def test_two_seeds_of_each_method_make_no_test(runs: list[Run]) -> None:
    comparison = compare([run for run in runs if not run.name.endswith("2408")], by="method", baseline="lora")
    found = comparison.results["dylora", "arc"]
    assert found.difference is not None
    assert (found.difference.p_value, found.p_holm, comparison.tiers("arc")) == (None, None, None)
    assert found.difference.interval.low < found.difference.value < found.difference.interval.high
    for output in FORMATS:
        assert "nan" not in comparison.render(output).lower()


@pytest.mark.parametrize(("n", "n_seeds"), [(2, 2), (3, 3), (50, 3)])
def test_seeds_without_spread_claim_no_certainty(n: int, n_seeds: int) -> None:
    def method(level: float) -> list[Run]:
        documents = [f"arc/{i}" for i in range(n)]
        made = RankAccuracyCurve.from_scores(RANKS, np.full((n, 4), level), task="arc", documents=documents)
        return [
            Run(f"{level}-{s}", None, {"identity": {"adapter": {"seed": s}}}, {"arc": made}) for s in range(n_seeds)
        ]

    comparison = compare({"wrong": method(0.0), "right": method(1.0)})
    found = comparison.results["right", "arc"]
    assert found.interval is not None
    # Clopper and Pearson
    assert (found.interval.low, found.interval.high) == pytest.approx((0.025 ** (1 / n), 1.0), rel=1e-9)
    assert found.difference is not None
    assert found.difference.interval.low < 1.0
    if n_seeds == 2:
        assert found.difference.p_value is None
    else:
        assert found.difference.p_value is not None
        assert found.difference.p_value >= min(1e-4, 2.0 ** (1 - n))  # what flipping all documents can give
        assert (found.difference.p_value < 0.05) == (n == 50)
    for output in FORMATS:
        assert "nan" not in comparison.render(output).lower()


def test_the_mean_over_tasks_takes_the_seeds_of_a_training_once(runs: list[Run]) -> None:
    comparison = compare(runs, by="method")
    lora, dylora = ([scores(group, task) for task in TASKS] for group in (runs[:3], runs[3:]))
    found = comparison.results["dylora", MACRO]
    assert found.stderr == pytest.approx(method_estimate(dylora, W).stderr, rel=1e-12)
    assert found.difference is not None
    assert found.difference.stderr == pytest.approx(method_difference(dylora, lora, W, seeds="shared").stderr)
    assert found.interval is not None
    assert found.interval.method == "wilson"
    assert 0 < found.interval.low < found.value < found.interval.high < 1


def test_other_seed_numbers_are_independent_and_their_number_may_differ(runs: list[Run]) -> None:
    others = [trained("svd", seed, shift=0.1) for seed in (7, 8, 9, 10)]
    found = compare([*runs[:3], *others], by="method").results["svd", "arc"].difference
    expected = method_difference([scores(others, "arc")], [scores(runs[:3], "arc")], W, seeds="independent")
    assert found is not None
    assert found.stderr == pytest.approx(expected.stderr, rel=1e-12)


def test_adapters_retrained_for_every_rank_have_one_seed_effect_a_rank(runs: list[Run]) -> None:
    grid = [trained("grid", seed, shift=0.1, sha256_of_rank={"1": str(seed)}) for seed in SEEDS]
    comparison = compare([*runs[:3], *grid], by="method")
    expected = method_estimate([scores(grid, "arc")], W, seed_unit="rank")
    assert comparison.results["grid", "arc"].stderr == pytest.approx(expected.stderr, rel=1e-12)
    between = method_difference(
        [scores(grid, "arc")], [scores(runs[:3], "arc")], W, seeds="independent", seed_units=("rank", "run")
    )
    found = comparison.results["grid", "arc"].difference
    assert found is not None
    assert found.stderr == pytest.approx(between.stderr, rel=1e-12)


def test_the_order_in_which_runs_are_given_changes_no_number(runs: list[Run]) -> None:
    shuffled = [runs[k] for k in (2, 0, 1, 5, 3, 4)]
    assert compare(shuffled, by="method").to_csv() == compare(runs, by="method").to_csv()


def test_seeds_widen_the_error_and_target_docs_leaves_them_out(runs: list[Run]) -> None:
    both = compare(runs, by="method").results["lora", "arc"]
    docs = compare(runs, by="method", target="docs").results["lora", "arc"]
    assert both.value == pytest.approx(docs.value)
    assert both.stderr is not None
    assert docs.stderr is not None
    assert both.stderr > docs.stderr
    expected = (scores(runs[:3], "arc").mean(axis=1) @ W).std(ddof=1) / np.sqrt(40)
    assert docs.stderr == pytest.approx(expected)


def test_one_document_gives_no_error_and_no_test() -> None:
    runs = [trained(m, s) for m in ("lora", "dylora") for s in (1, 2)]
    runs = [replace(r, curves={"arc": r.curve("arc").select_documents(["arc/d0"])}) for r in runs]
    comparison = compare(runs, by="method")
    assert comparison.results["lora", "arc"].stderr is None
    assert "one common document has no spread" in comparison.to_markdown()


def test_compute_of_a_curve_with_seeds_is_about_the_method(runs: list[Run]) -> None:
    pooled = RankAccuracyCurve.from_seeds([run.curve("arc") for run in runs[:3]], ["1", "2", "3"])
    score = aurac.compute(pooled)
    assert score.interval is not None
    assert score.interval.target == "docs+seeds"
    assert score.stderr == pytest.approx(method_estimate([scores(runs[:3], "arc")], W).stderr)
    assert aurac.compute(pooled, target="docs").stderr < score.stderr  # type: ignore[operator]
    with pytest.raises(
        CurveError, match=r"an error over seeds or draws of examples has an interval of its own. Leave ci= out"
    ):
        aurac.compute(pooled, ci="bca")
    with pytest.raises(CurveError, match="has one training, which shows no spread between seeds"):
        aurac.compute(runs[0], task="arc", target="seeds")
