"""Every number of a cell is the one that lm-eval reports, document by document."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from aurac.harness.gold import NLL, PER_BYTE, _right
from aurac.harness.judge import measure_cell
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.suite import build_suite
from tolerance import same_log_likelihoods

OURS = (NLL, PER_BYTE)
TASKS = ("colours", "binary", "spell", "prose", "ending", "few", "hits", "colours@0", "spell@3")


@pytest.mark.parametrize("item", TASKS)
def test_a_cell_holds_what_simple_evaluate_reports(
    item: str, task_folder: Path, tokenizer: Any, adapter: Any, reference: Any
) -> None:
    suite = build_suite(parse_tasks(item), include_path=task_folder, progress=False)
    leaf = suite.leaves[suite.requests[0].task]
    lm = hflm_engine(adapter.model, tokenizer, batch_size=4)
    adapter.set_rank(2)
    measure_cell(lm, leaf, 2)  # of which nothing may be left over at the next rank
    adapter.set_rank(8)
    cell = measure_cell(lm, leaf, 8)
    shots = int(item.partition("@")[2]) if "@" in item else None
    expected = reference(adapter.model, leaf.name, num_fewshot=shots)
    results = {k: v for k, v in expected["results"][leaf.name].items() if "," in k and "stderr" not in k}
    theirs = {key: value for key, value in cell.metrics.items() if key.partition(",")[0] not in OURS}
    assert theirs == pytest.approx(results, rel=1e-6)
    assert cell.error is None
    compare_documents(cell.columns, expected["samples"][leaf.name])


def compare_documents(columns: Any, samples: list[dict[str, Any]]) -> None:
    rows = {
        (row["doc_id"], row["metric"], row["filter"]): row
        for row in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        if row["metric"] not in OURS
    }
    assert len(rows) == sum(len(sample["metrics"]) for sample in samples)
    for sample in samples:
        for metric in sample["metrics"]:
            row = rows[sample["doc_id"], metric, sample["filter"]]
            assert row["doc_hash"] == sample["doc_hash"]
            assert row["prompt_hash"] == sample["prompt_hash"]
            for found, wanted in zip((row["score"], row["weight"]), expected_row(metric, sample[metric]), strict=True):
                assert found == (None if wanted is None else same_log_likelihoods(wanted))


def expected_row(metric: str, value: Any) -> tuple[float | None, float | None]:
    if metric in ("f1", "brier_score"):
        return None, None
    if metric == "perplexity":
        return -value, None
    if metric == "bits_per_byte":
        return -value[0] / value[1] / math.log(2), value[1]
    if metric.endswith("_perplexity"):
        return -value[0] / value[1], value[1]
    return float(value), None


@pytest.mark.parametrize("item", ["colours", "binary", "ending", "few"])
def test_how_likely_the_right_answer_is_follows_from_the_samples_of_lm_eval(
    item: str, task_folder: Path, tokenizer: Any, adapter: Any, reference: Any
) -> None:
    suite = build_suite(parse_tasks(item), include_path=task_folder, progress=False)
    leaf = suite.leaves[suite.requests[0].task]
    adapter.set_rank(4)
    cell = measure_cell(hflm_engine(adapter.model, tokenizer, batch_size=4), leaf, 4)
    columns = cell.columns
    found = {
        (doc, metric): score
        for doc, metric, score in zip(columns["doc_id"], columns["metric"], columns["score"], strict=True)
    }
    for sample in reference(adapter.model, leaf.name)["samples"][leaf.name]:
        right = sample["target"] if isinstance(sample["target"], int) else 0
        nats = -float(sample["filtered_resps"][right][0])
        text = sample["arguments"][right][1].removeprefix(" ")
        assert found[sample["doc_id"], NLL] == same_log_likelihoods(nats)
        assert found[sample["doc_id"], PER_BYTE] == same_log_likelihoods(nats / len(text.encode()))
    for metric in OURS:
        assert leaf.metrics[metric] == {"aggregation": "mean", "higher_is_better": False}
        mean = sum(score for (_, name), score in found.items() if name == metric) / len(leaf.documents)
        assert cell.metrics[f"{metric},none"] == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("item", ["spell", "prose"])
def test_tasks_that_write_or_read_texts_have_no_right_answer_to_weigh(item: str, task_folder: Path) -> None:
    suite = build_suite(parse_tasks(item), include_path=task_folder, progress=False)
    assert not {*OURS} & suite.leaves[suite.requests[0].task].metrics.keys()


class Says:
    """An lm-eval task in what the metric asks of it."""

    OUTPUT_TYPE = "multiple_choice"
    multiple_input = False

    def __init__(self, target: Any) -> None:
        self.doc_to_target = lambda _: target
        self.doc_to_choice = lambda _: ["red", "green", "blue"]


@pytest.mark.parametrize(("target", "numbers"), [(1, [1]), ("blue", [2]), ([0, 2], [0, 2]), (["red"], [0])])
def test_the_right_choices_are_a_number_a_text_or_several(target: Any, numbers: list[int]) -> None:
    assert _right(Says(target), {}) == numbers


@pytest.mark.parametrize("target", [3, -100, "pink", []])
def test_a_document_without_a_right_choice_has_none(target: Any) -> None:
    with pytest.raises(ValueError, match=r"no choice has the number|is not in list"):
        _right(Says(target), {})
