"""Every number of a cell is the one that lm-eval reports, document by document."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from aurac.harness.judge import measure_cell
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.suite import build_suite
from tolerance import same_log_likelihoods

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
    assert cell.metrics == pytest.approx(results, rel=1e-6)
    assert cell.error is None
    compare_documents(cell.columns, expected["samples"][leaf.name])


def compare_documents(columns: Any, samples: list[dict[str, Any]]) -> None:
    rows = {
        (row["doc_id"], row["metric"], row["filter"]): row
        for row in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
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
