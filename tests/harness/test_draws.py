"""Few-shot examples drawn under several seeds: every cell is measured under each, and the record keeps all scores."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

import aurac
from aurac.errors import RecordError, TaskError
from aurac.harness.draws import mean_cell
from aurac.harness.exchange.lm_eval_export import write_lm_eval
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import run_identity, score_adapter
from aurac.harness.suite import Suite, build_suite
from aurac.results import Cell, Run, load
from aurac.results.long_table import write_csv, write_parquet

SEEDS = (1, 2, 3)
RANKS = (1, 8)

FIXED = """
task: fixed
dataset_path: json
dataset_kwargs: {data_files: {train: FOLDER/train.jsonl, test: FOLDER/test.jsonl}}
output_type: multiple_choice
fewshot_split: train
test_split: test
doc_to_text: "{{thing}} is"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
num_fewshot: 2
fewshot_config: {sampler: first_n}
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""


@pytest.fixture(scope="module")
def suite(task_folder: Path) -> Suite:
    return build(task_folder, "colours,spell", fewshot_seeds=SEEDS)


def build(folder: Path, tasks: str, **options: Any) -> Suite:
    return build_suite(parse_tasks(tasks), include_path=folder, progress=False, **options)


def scored(adapter: Any, tokenizer: Any, suite: Suite, out: Path, lm: Any = None, ranks: Any = RANKS) -> Run:
    identity = run_identity(
        suite,
        adapter={"sha256": "aa", "method": "lora", "max_rank": 8},
        base={"sha256": "bb"},
        dtype="float32",
        engine="hflm",
    )
    run = score_adapter(
        lambda: (lm or hflm_engine(adapter.model, tokenizer, batch_size=4), adapter),
        suite,
        out=out,
        identity=identity,
        ranks=ranks,
        progress=False,
    )
    assert run is not None
    return run


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("draws") / "run"


@pytest.fixture
def run(adapter: Any, tokenizer: Any, suite: Suite, record: Path) -> Run:
    """The same record for all tests, measured for the first of them."""
    return scored(adapter, tokenizer, suite, record)


def test_every_draw_scores_what_a_run_with_that_seed_alone_scores(
    run: Run, adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    prompts = run.curve("colours").prompts
    assert prompts is not None
    assert prompts.labels == ("1", "2", "3")
    for number, seed in enumerate(SEEDS):
        alone = scored(adapter, tokenizer, build(task_folder, "colours", fewshot_seed=seed), tmp_path / f"alone-{seed}")
        np.testing.assert_array_equal(prompts.values[:, number], alone.curve("colours").scores)
    np.testing.assert_allclose(run.curve("colours").scores, prompts.values.mean(axis=1), rtol=1e-12)  # a mean
    assert np.ptp(prompts.values, axis=1).any()  # the draws differ, so that equality means something


def test_errors_are_over_documents_and_draws_and_the_signature_names_the_seeds(run: Run) -> None:
    score = aurac.compute(run, task="colours")
    assert score.interval is not None
    assert score.interval.target == "docs+prompts"
    assert "|fewshot_seeds:1-2-3|" in str(score.signature)
    assert run.record["identity"]["fewshot_seeds"] == [1, 2, 3]
    assert "fewshot_seed" not in run.record["identity"]
    text = aurac.compare([run]).to_markdown()
    assert "standard error over documents and draws of few-shot examples" in text
    assert "Means over 3 draws of few-shot examples (seeds 1, 2, 3)." in text


def test_a_record_is_resumed_and_another_list_of_seeds_is_another_run(
    adapter: Any, tokenizer: Any, suite: Suite, task_folder: Path, tmp_path: Path
) -> None:
    whole = scored(adapter, tokenizer, suite, tmp_path / "whole")
    lm = hflm_engine(adapter.model, tokenizer, batch_size=4)
    answer, calls = lm.loglikelihood, []

    def press_ctrl_c(requests: Any) -> Any:
        calls.append(len(requests))
        if len(calls) == 5:  # rank 8, second draw
            raise KeyboardInterrupt
        return answer(requests)

    lm.loglikelihood = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        scored(adapter, tokenizer, suite, tmp_path / "parts", lm)
    lm.loglikelihood = answer
    adapter.ranks_set.clear()
    scored(adapter, tokenizer, suite, tmp_path / "parts", lm)
    assert adapter.ranks_set == [8]
    files = [tmp_path / name / "documents.parquet" for name in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(RecordError, match=r"holds another run: fewshot_seeds is \[1, 2, 3\] there and \[1, 2\] here"):
        scored(adapter, tokenizer, build(task_folder, "colours", fewshot_seeds=(1, 2)), tmp_path / "whole")
    assert whole.failures == ()


def test_readers_that_know_no_draws_find_the_columns_that_they_know(
    run: Run, adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    plain = scored(adapter, tokenizer, build(task_folder, "colours"), tmp_path / "plain")
    files = [pq.read_table(one.path / "documents.parquet") for one in (plain, run) if one.path]
    assert files[1].column_names == [*files[0].column_names, "draws"]
    assert run.record["schema_version"] == plain.record["schema_version"]


def test_the_long_table_has_the_draws_and_the_files_of_lm_eval_have_no_place_for_them(run: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_parquet(run, tmp_path / "t.parquet")
    row = pq.read_table(tmp_path / "t.parquet").to_pylist()[0]
    assert row["score"] == pytest.approx(np.mean(row["draws"]))
    write_csv(run, tmp_path / "t.csv")
    header, first = (tmp_path / "t.csv").read_text().splitlines()[:2]
    assert header.replace('"', "").endswith(",draws")
    assert [float(x) for x in first.split(",")[-1].strip('"').split()] == row["draws"]
    with pytest.raises(RecordError, match=r"several draws of few-shot examples, and lm-eval's files hold one"):
        write_lm_eval(run, tmp_path / "lm-eval")


def test_scores_of_draws_that_were_changed_are_an_error(run: Run, tmp_path: Path) -> None:
    assert run.path is not None
    copied = Path(copytree(run.path, tmp_path / "copied"))
    content = json.loads((copied / "run.json").read_text())
    content["identity"]["fewshot_seeds"] = [1, 2]
    (copied / "run.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"the scores of task 'colours' under each draw of examples do not fit"):
        load(copied)


def test_a_task_without_shots_or_with_fixed_examples_is_refused_in_one_line(task_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"task 'colours' is asked without examples \(0 shots\), .* such as colours@5"):
        build(task_folder, "colours@0", fewshot_seeds=SEEDS)
    with pytest.raises(TaskError, match=r"task 'few' is asked without examples \(0 shots\)"):
        build(task_folder, "pooled", fewshot_seeds=SEEDS)  # colours and few
    (tmp_path / "fixed.yaml").write_text(FIXED.replace("FOLDER", str(task_folder)))
    with pytest.raises(
        TaskError, match=r"task 'fixed' has the same examples under the seeds 1, 2, 3: it does not draw"
    ):
        build(tmp_path, "fixed", fewshot_seeds=SEEDS)


def test_a_cell_that_fails_under_one_draw_says_which(
    adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    adapter.break_rank(8)
    run = scored(adapter, tokenizer, build(task_folder, "colours", fewshot_seeds=SEEDS), tmp_path / "run")
    errors = {(cell["task"], cell["rank"]): cell["error"] for cell in run.failures}
    assert errors["colours", 8].startswith("few-shot seed 1: 96 of 96 log-likelihoods are not numbers (NaN)")
    assert ("colours", 1) not in errors


def cell(scores: Any, *, weights: Any = None, value: float) -> Cell:
    n = len(scores)
    columns = {
        "doc_id": list(range(n)), "doc_hash": [f"d{i}" for i in range(n)], "prompt_hash": ["p"] * n,
        "filter": ["none"] * n, "metric": ["m"] * n, "score": list(scores), "weight": weights or [None] * n,
    }  # fmt: skip
    return Cell("t", 4, 1.0, {"m,none": value}, columns)


def test_values_over_the_corpus_are_means_and_of_perplexities_geometric_means() -> None:
    names = {0: "x", 1: "y"}
    made = mean_cell([cell([0.0, 1.0], value=0.5), cell([1.0, 1.0], value=1.0)], {"m": "mean"}, names)
    assert (made.metrics, made.seconds) == ({"m,none": 0.75}, 2.0)
    assert (made.columns["score"], made.columns["draws"]) == ([0.5, 1.0], [[0.0, 1.0], [1.0, 1.0]])
    assert made.columns["prompt_hash"] == ["x", "y"]
    weighted = [cell([1.0, 2.0], weights=[1.0, 3.0], value=v) for v in (4.0, 9.0)]
    made = mean_cell(weighted, {"m": "weighted_perplexity"}, names)
    assert made.metrics["m,none"] == pytest.approx(6.0)
    assert made.columns["weight"] == [1.0, 3.0]


def test_a_metric_of_the_corpus_and_one_that_lacks_documents_have_no_scores_of_documents() -> None:
    names = {0: "x", 1: "y"}
    made = mean_cell([cell([None, None], value=0.5), cell([None, None], value=1.0)], {"m": "f1"}, names)
    assert (made.metrics["m,none"], made.columns["score"], made.columns["draws"]) == (0.75, [None] * 2, [None] * 2)
    made = mean_cell([cell([0.0, 1.0], value=0.5), cell([1.0], value=1.0)], {"m": "mean"}, names)
    assert (made.metrics["m,none"], made.columns["score"]) == (0.75, [None] * 2)
