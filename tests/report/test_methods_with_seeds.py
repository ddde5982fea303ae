"""`compare(by="method")`: several training seeds as one method, with documents and seeds both random."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aurac
from aurac.analysis.compared import MACRO
from aurac.analysis.grouping import by_method
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.errors import ComparisonError, CurveError, UnknownNameError
from aurac.quadrature import weights
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.report.plots.kinds import KINDS, PlotOptions, draw
from aurac.results import Run
from aurac.statistics.seeds import TARGETS, method_difference, method_estimate
from golden_files import assert_golden
from runs_by_hand import RANKS, curve

SEEDS = (42, 666, 2408)
TASKS = ("arc", "hella")
W = weights(RANKS)


def trained(method: str, seed: int, *, shift: float = 0.0, **adapter: Any) -> Run:
    """A run whose level moves with its seed."""
    level = shift + np.random.default_rng(seed + len(method)).normal(0, 0.05)
    curves = {task: curve(task, seed + len(method), shift=level) for task in TASKS}
    identity = {"method": method, "seed": seed, "sha256": f"{method}{seed}", "sidecar": True, "scaling": "one"}
    record = {"identity": {"adapter": identity | adapter}}
    return Run(f"{method}-{seed}", None, record, curves)


def drawn(run: Run, labels: tuple[str, ...] = ("1", "2", "3")) -> Run:
    """The run with scores under several draws of examples, which change some answers."""
    rng, curves = np.random.default_rng(7), {}
    for task, one in run.curves.items():
        assert one.scores is not None
        y = np.repeat(one.scores[:, None], len(labels), axis=1)
        y = np.where(rng.random(y.shape) < 0.1, 1 - y, y)
        about = {"documents": one.documents, "task": task, "metric": "acc", "num_fewshot": 5, "task_version": "1.0"}
        prompts = SeedScores(y, labels)
        curves[task] = RankAccuracyCurve.from_scores(RANKS, y.mean(axis=1), prompts=prompts, name=run.name, **about)
    return replace(run, curves=curves)


@pytest.fixture
def runs() -> list[Run]:
    return [trained(m, seed, shift=s) for m, s in (("lora", 0.0), ("dylora", 0.15)) for seed in SEEDS]


def scores(runs: list[Run], task: str) -> Any:
    """Shape (documents, seeds, ranks)."""
    return np.stack([run.curve(task).scores for run in runs], axis=1)


def test_runs_that_differ_in_their_seed_alone_are_one_method(runs: list[Run]) -> None:
    assert {name: [run.name for run in group] for name, group in by_method(runs).items()} == {
        "lora": ["lora-42", "lora-666", "lora-2408"],
        "dylora": ["dylora-42", "dylora-666", "dylora-2408"],
    }


def test_settings_that_differ_make_methods_of_their_own_and_name_them() -> None:
    runs = [trained("matryoshka", s, inference=i) for i in ("prefix", "trained") for s in (1, 2)]
    assert list(by_method(runs)) == ["matryoshka-prefix", "matryoshka-trained"]
    runs = [trained("lora", s, gain=g) for g in (1.0, 2.0) for s in (1, 2)]
    assert list(by_method(runs)) == ["lora-gain=1.0", "lora-gain=2.0"]
    runs = [trained("svd-lora", s, allocate=a) for a in (None, "energy") for s in (1, 2)]
    runs += [trained("svd-lora", s, allocate="energy", calibration="7b0ea7df" * 8) for s in (1, 2)]
    assert list(by_method(runs))[1:] == ["svd-lora-energy", "svd-lora-energy-calibration=7b0ea7df"]
    runs = [trained("squeeze-lora", s, **way) for way in ({}, {"training_gradual": 1}) for s in (1, 2)]
    assert list(by_method(runs)) == ["squeeze-lora", "squeeze-lora-gradual"]
    runs = [trained("lora", 1, inference="trained"), trained("lora", 2, init="trained", per_row=True)]
    assert list(by_method(runs)) == ["lora-trained", "lora-init=trained-per_row=True"]


def test_runs_on_other_base_models_or_dtypes_are_no_seeds_of_one_method() -> None:
    runs = [trained("lora", seed) for seed in (1, 2)]
    for run, base, dtype in zip(runs, ("a" * 64, "b" * 64), ("float32", "bfloat16"), strict=True):
        run.record["identity"].update(base={"name_or_path": "x", "sha256": base}, dtype=dtype)
    assert list(by_method(runs)) == ["lora-base=aaaaaaaaaaaa-dtype=float32", "lora-base=bbbbbbbbbbbb-dtype=bfloat16"]


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


def test_a_retrained_grid_needs_the_same_ranks_in_all_tasks_for_its_mean() -> None:
    grid = [trained("grid", seed, sha256_of_rank={"1": "x"}) for seed in SEEDS]
    grid = [replace(r, curves={"arc": r.curve("arc").select_ranks([1, 8]), "hella": r.curve("hella")}) for r in grid]
    with pytest.raises(CurveError, match="the tasks were scored at different ranks"):
        compare(grid, by="method")


def test_equal_methods_differ_by_nothing_whatever_their_numbers_of_seeds() -> None:
    scores = np.random.default_rng(0).random((40, 4))
    same = RankAccuracyCurve.from_scores(RANKS, scores, documents=[f"d{i}" for i in range(40)], task="arc")
    groups = {name: [Run(f"{name}{s}", None, {}, {"arc": same}) for s in range(n)] for name, n in (("a", 4), ("b", 3))}
    for target in ("seeds", "docs+seeds", "docs"):
        found = compare(groups, target=target).results["b", "arc"].difference
        assert found is not None
        assert (found.value, found.p_value, found.wins, found.losses) == (0.0, 1.0, 0, 0)


def test_without_document_keys_seeds_are_not_joined_by_position() -> None:
    curves = [RankAccuracyCurve.from_scores(RANKS, np.full((n, 4), 0.5), task="arc") for n in (40, 38)]
    pooled = RankAccuracyCurve.from_seeds(curves, ["1", "2"])
    assert (pooled.seeds, pooled.scores) == (None, None)


def test_a_method_whose_seeds_cannot_be_joined_keeps_its_mean(runs: list[Run]) -> None:
    accuracies = RankAccuracyCurve(
        RANKS, [0.1, 0.2, 0.3, 0.4], task="arc", metric="acc", num_fewshot=5, task_version="1.0"
    )
    groups = {"a": runs[:2], "b": [replace(run, curves={"arc": accuracies}) for run in runs[3:5]]}
    comparison = compare(groups, tasks=["arc"])
    assert comparison.results["b", "arc"].stderr is None
    assert comparison.results["a", "arc"].stderr is not None
    assert "no paired difference" in comparison.to_markdown()


def test_seeds_at_other_ranks_are_no_curve(runs: list[Run]) -> None:
    other = replace(runs[1], curves={"arc": runs[1].curve("arc").select_ranks([1, 8])})
    with pytest.raises(ComparisonError, match="are not comparable on arc: ranks is"):
        compare({"a": [runs[0], other]})


def test_nothing_to_compare_is_an_error() -> None:
    for nothing in ({}, [], {"a": []}):
        with pytest.raises(ComparisonError, match="there is nothing to compare"):
            compare(nothing)


def test_one_run_instead_of_a_list_is_named(runs: list[Run]) -> None:
    for one in ("runs/a", {"method": "runs/a"}):
        with pytest.raises(ComparisonError, match=r"runs/a is one run, not a list of them\. Give a list of runs"):
            compare(one)
    with pytest.raises(ComparisonError, match=f"{runs[0].name} is one run, not a list of them"):
        compare(runs[0])  # type: ignore[arg-type]


def test_the_tables_say_how_seeds_were_joined(runs: list[Run]) -> None:
    shuffled = compare([runs[k] for k in (2, 0, 1, 3, 4, 5)], by="method").to_markdown()
    assert "seeds paired," in shuffled
    assert "Means over the training seeds 42, 666, 2408, the same for each method." in shuffled
    grid = [trained("grid", seed, sha256_of_rank={"1": "x"}) for seed in SEEDS]
    assert "seeds independent," in compare([*runs[:3], *grid], by="method").to_markdown()


@pytest.mark.parametrize("target", TARGETS)
def test_the_paragraph_fits_the_target(runs: list[Run], target: str) -> None:
    text = compare([drawn(run) for run in runs], by="method", target=target).prose()
    assert "Each method was trained with 3 seeds, over which we average." in text
    assert "Few-shot examples were drawn 3 times (seeds 1, 2, 3), over which we average." in text
    assert ("two-sided t tests" in text) == (target not in ("docs", "benchmark"))
    assert ("Searle" in text) == (target.startswith("docs+"))


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


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gives_tables_without_nan(runs: list[Run], target: str) -> None:
    text = compare([drawn(run) for run in runs], by="method", target=target).render("markdown")
    assert "nan" not in text
    assert f"Target: {target} (" in text


def test_draws_of_examples_are_random_by_default_where_all_runs_have_them(runs: list[Run]) -> None:
    several = [drawn(run) for run in runs]
    methods = compare(several, by="method", baseline="lora")
    assert methods.settings.target == "docs+seeds+prompts"
    single = compare(several[:2], baseline="lora-42")
    assert single.settings.target == "docs+prompts"
    text = single.to_markdown()
    assert "p: two-sided t test at Satterthwaite's df, paired on the same prompts, Holm" in text
    assert "(this adapter, new documents and newly drawn few-shot examples); seeds of the training are not" in text
    found = single.results["lora-666", "arc"].difference
    assert found is not None
    a, b = (run.curve("arc").prompts.values for run in several[:2])  # type: ignore[union-attr]
    expected = method_difference([b], [a], W, seeds="shared", target="docs+prompts", factor="prompts")
    assert (found.value, found.stderr) == pytest.approx((expected.value, expected.stderr), rel=1e-9)
    fixed = compare(several[:2], target="docs").to_markdown()
    assert "seeds of the training and draws of the few-shot examples are not part of it." in fixed


def test_a_target_with_draws_needs_runs_with_draws(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"scored with one draw.*\(--fewshot-seeds 1,2,3\).*\(--target docs\)"):
        compare(runs[:2], target="docs+prompts")
    with pytest.raises(ComparisonError, match=r"or ask about these examples \(--target docs\+seeds\)"):
        compare(runs, by="method", target="docs+seeds+prompts")


def test_two_draws_make_no_test_and_the_note_says_why(runs: list[Run]) -> None:
    comparison = compare([drawn(run, ("1", "2")) for run in runs[:2]])
    found = comparison.results["lora-666", "arc"].difference
    assert found is not None
    assert found.p_value is None
    assert "Two draws of few-shot examples make no test" in comparison.to_markdown()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_runs_with_draws_also_where_nothing_varies(runs: list[Run], name: str) -> None:
    same = [replace(run, curves={"arc": flat(run.name)}) for run in runs[:2]]
    for several in ([drawn(run) for run in runs[:3]], same):
        text = compare(several).render(name)
        assert "nan" not in text.lower().replace("nanmean", "")
        if name == "json":
            json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def flat(name: str) -> RankAccuracyCurve:
    ones = np.ones((12, 3, len(RANKS)))
    keys = [f"d{i}" for i in range(12)]
    prompts = SeedScores(ones, ("1", "2", "3"))
    return RankAccuracyCurve.from_scores(RANKS, ones[:, 0], documents=keys, prompts=prompts, task="arc", name=name)


def test_every_training_seed_is_printed_with_its_own_score(runs: list[Run]) -> None:
    comparison = compare(runs, by="method", baseline="lora")
    alone = {run.name: [aurac.compute(run, task=task).value for task in TASKS] for run in runs}
    found = {(each["run"], each["task"]): each["values"] for each in json.loads(comparison.to_json())["seeds"]}
    for run in runs:
        method, seed = run.name.split("-")
        values = [found[method, task][seed] for task in (*TASKS, MACRO)]
        assert values == pytest.approx([*alone[run.name], np.mean(alone[run.name])], rel=1e-9)  # 12 digits in JSON
        printed = " | ".join(f"{100 * value:.1f}" for value in values)
        assert f"| {method} | {seed} | {printed} |" in comparison.to_markdown()
    for method in ("lora", "dylora"):
        mean = np.mean(list(found[method, MACRO].values()))
        assert mean == pytest.approx(comparison.results[method, MACRO].value, rel=1e-9)


def test_single_runs_and_seeds_that_cannot_be_joined_have_no_table_of_seeds(runs: list[Run]) -> None:
    assert json.loads(compare(runs).to_json())["seeds"] == []
    assert "each training seed" not in compare(runs).to_markdown()
    assert "AURAC of each training seed" in compare(runs[:3], by="method").to_markdown()


def test_a_mapping_says_which_runs_are_a_method(runs: list[Run]) -> None:
    named = compare({"A": runs[:3], "B": runs[3:]})
    assert [run.name for run in named.runs] == ["A", "B"]
    assert named.results["B", "arc"].stderr == compare(runs, by="method").results["dylora", "arc"].stderr


def test_one_training_of_a_method_is_refused_with_the_ways_out(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"dylora: one training seed, .* at least 2 .* \(--target docs\)"):
        compare(runs[:4], by="method")
    assert compare(runs[:4], by="method", target="docs").results["dylora", "arc"].stderr is not None


def test_single_runs_have_no_error_over_seeds(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"target 'seeds' is about methods, and these are single runs"):
        compare(runs, target="seeds")


def test_two_trainings_with_the_same_seed_are_no_two_seeds() -> None:
    twice = [trained("lora", 42), replace(trained("lora", 42), name="again")]
    with pytest.raises(ComparisonError, match=r"'lora-42' and 'again' are the same method .* seed \(42\)"):
        compare(twice, by="method")


def test_an_unknown_row_or_target_is_named(runs: list[Run]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown row of a comparison 'methods'\. Did you mean 'method'"):
        compare(runs, by="methods")
    with pytest.raises(UnknownNameError, match="unknown target 'doc'"):
        compare(runs, by="method", target="doc")


def test_one_document_gives_no_error_and_no_test() -> None:
    runs = [trained(m, s) for m in ("lora", "dylora") for s in (1, 2)]
    runs = [replace(r, curves={"arc": r.curve("arc").select_documents(["arc/d0"])}) for r in runs]
    comparison = compare(runs, by="method")
    assert comparison.results["lora", "arc"].stderr is None
    assert "one common document has no spread" in comparison.to_markdown()


@pytest.mark.parametrize("output", FORMATS)
def test_a_comparison_of_methods_looks_like_its_golden_file(runs: list[Run], output: str) -> None:
    assert_golden(f"seeds.{output}.txt", compare(runs, by="method", baseline="lora").render(output))


def test_the_methods_paragraph_says_how_seeds_were_treated(runs: list[Run]) -> None:
    assert_golden("seeds-prose.txt", compare(runs, by="method", baseline="lora").prose())


def test_the_signature_counts_the_seeds(runs: list[Run]) -> None:
    content = json.loads(compare(runs, by="method").to_json())
    assert "|seeds:3|" in content["signatures"]["arc"]
    assert content["signatures"]["arc"].endswith("|| ci:wilson95|target:docs+seeds|test:t|pairing:paired|adj:holm")


def test_a_method_is_drawn_with_a_thin_line_for_each_seed(runs: list[Run]) -> None:
    method = compare(runs, by="method").runs[0]
    ax = aurac.plot_curves(method, task="arc")
    assert sorted(line.get_linewidth() for line in ax.lines) == [0.5, 0.5, 0.5, 1.2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_plot_takes_methods(runs: list[Run], kind: str, tmp_path: Path) -> None:
    draw(kind, runs, PlotOptions(by="method")).savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


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


def test_seeds_stay_with_the_documents_and_ranks_that_are_selected(runs: list[Run]) -> None:
    pooled = RankAccuracyCurve.from_seeds([run.curve("arc") for run in runs[:3]], ["1", "2", "3"])
    part = pooled.select_documents(["arc/d3", "arc/d1"]).select_ranks([2, 8])
    assert part.seeds is not None
    np.testing.assert_array_equal(part.seeds.values, scores(runs[:3], "arc")[[3, 1]][:, :, [1, 3]])


def test_seeds_that_do_not_fit_together_are_refused(runs: list[Run]) -> None:
    a, b = runs[0].curve("arc"), runs[1].curve("arc")
    with pytest.raises(CurveError, match="the curves of the seeds differ in ranks or documents"):
        RankAccuracyCurve.from_seeds([a, b.select_ranks([1, 2])], ["1", "2"])
    with pytest.raises(CurveError, match=r"the labels of the seeds, 1, 1, are not distinct"):
        RankAccuracyCurve.from_seeds([a, b], ["1", "1"])
    with pytest.raises(UnknownNameError, match="unknown unit of seeds 'epoch'"):
        RankAccuracyCurve.from_seeds([a, b], ["1", "2"], unit="epoch")
    seeds = RankAccuracyCurve.from_seeds([a, b], ["1", "2"]).seeds
    with pytest.raises(CurveError, match="scores are not the means over the seeds"):
        RankAccuracyCurve(RANKS, scores=a.scores, seeds=seeds)
