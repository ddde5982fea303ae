"""A sweep measures each cell once, keeps what it has, and gives the numbers of lm-eval at every rank."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval.api.model import CachingLM

from aurac.errors import RankError, RecordError, RefusedError, TaskError
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import run_identity, score_adapter
from aurac.harness.suite import Suite, build_suite
from aurac.harness.sweep import check_ranks
from aurac.harness.window import check_room
from aurac.ranks import default_ranks
from aurac.results import Run, load

TASKS = "pooled,spell,prose"
RANKS = (1, 4, 8)


@pytest.fixture(scope="session")
def suite(task_folder: Path) -> Suite:
    return build_suite(parse_tasks(TASKS), include_path=task_folder, progress=False)


class Scorer:
    """`score_adapter` for the tiny model, with a count of how often a model was opened."""

    def __init__(self, adapter: Any, tokenizer: Any, out: Path) -> None:
        self.adapter, self.out, self.opened = adapter, out, 0
        self.lm = hflm_engine(adapter.model, tokenizer, batch_size=4)

    def __call__(self, suite: Suite, ranks: Any = RANKS, **options: Any) -> Run:
        adapter = {"sha256": "aa", "method": "lora", "max_rank": 8}
        identity = run_identity(suite, adapter=adapter, base={"sha256": "bb"}, dtype="float32", engine="hflm")
        return score_adapter(
            self.open, suite, out=self.out, identity=identity, ranks=ranks, **({"progress": False} | options)
        )

    def open(self) -> Any:
        self.opened += 1
        return self.lm, self.adapter


@pytest.fixture
def score(adapter: Any, tokenizer: Any, tmp_path: Path) -> Scorer:
    return Scorer(adapter, tokenizer, tmp_path / "run")


def test_curves_have_what_lm_eval_reports_for_tasks_and_groups(
    score: Scorer, suite: Suite, adapter: Any, reference: Any
) -> None:
    run = score(suite)
    assert run.tasks == ("pooled", "spell", "prose")
    headline = {"pooled": "acc,none", "spell": "exact_match,letter", "prose": "bits_per_byte,none"}
    adapter.set_rank(4)
    for task, key in headline.items():
        expected = reference(adapter.model, task)["results"][task][key]
        assert run.curves[task].accuracy_at(4) == pytest.approx(expected, rel=1e-6)
    assert np.ptp(run.curves["prose"].accuracies) > 0.01  # the ranks differ, so that equality means something
    assert run.curves["spell"].num_fewshot == 1
    assert not run.curves["prose"].higher_is_better
    assert run.curve("colours").n_documents == 24
    assert run.curve("prose", "word_perplexity").metric == "log_word_perplexity"


def test_a_group_that_averages_tasks_equals_lm_eval(
    score: Scorer, task_folder: Path, adapter: Any, reference: Any
) -> None:
    run = score(build_suite(parse_tasks("macro"), include_path=task_folder, progress=False), ranks=[8])
    adapter.set_rank(8)
    assert run.curves["macro"].accuracies[0] == pytest.approx(
        reference(adapter.model, "macro")["results"]["macro"]["acc,none"]
    )


def test_a_metric_that_names_its_values_when_it_is_called_gives_curves(score: Scorer, task_folder: Path) -> None:
    suite = build_suite(parse_tasks("hits"), include_path=task_folder, progress=False)
    assert str(suite.requests[0]) == "hits, 0-shot, metric of the task"
    run = score(suite)
    assert run.curves["hits"].metric == "hit@1"
    assert run.curve("hits", "hit@2").n_documents == 6


def test_each_rank_is_set_once_and_a_second_call_opens_no_model(score: Scorer, suite: Suite, adapter: Any) -> None:
    score(suite)
    assert adapter.ranks_set == list(RANKS)
    score(suite)
    assert score.opened == 1


def test_more_ranks_measure_only_what_is_missing(score: Scorer, suite: Suite, adapter: Any) -> None:
    score(suite, ranks=[8, 1])
    score(suite)
    assert adapter.ranks_set == [1, 8, 4]
    assert load(score.out).ranks == RANKS


def test_a_resumed_sweep_gives_the_record_of_an_uninterrupted_one(
    adapter: Any, tokenizer: Any, suite: Suite, tmp_path: Path
) -> None:
    whole = Scorer(adapter, tokenizer, tmp_path / "whole")
    whole(suite)
    parts = Scorer(adapter, tokenizer, tmp_path / "parts")
    answer, calls = parts.lm.loglikelihood, []

    def press_ctrl_c(requests: Any) -> Any:
        calls.append(len(requests))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return answer(requests)

    parts.lm.loglikelihood = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        parts(suite)
    done = len(list((tmp_path / "parts" / "cells").iterdir()))
    assert done == 5  # rank 1: colours, few, spell, prose; rank 4: colours; then Ctrl-C in few
    adapter.ranks_set.clear()
    parts(suite)
    assert adapter.ranks_set == [4, 8]
    documents = [(tmp_path / name / "documents.parquet").read_bytes() for name in ("whole", "parts")]
    assert documents[0] == documents[1]
    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "parts")]
    assert without_times(records[0]) == without_times(records[1])


def without_times(run: dict[str, Any]) -> dict[str, Any]:
    cells = [{key: value for key, value in cell.items() if key != "seconds"} for cell in run["cells"]]
    return {k: v for k, v in run.items() if k not in ("created", "updated", "timings")} | {"cells": cells}


def test_every_rank_answers_the_same_prompts(score: Scorer, suite: Suite) -> None:
    import pyarrow.parquet as pq

    score(suite)
    table = pq.read_table(score.out / "documents.parquet").to_pandas()
    prompts = table.groupby(["task", "metric", "filter", "doc_id"])["prompt_hash"].nunique()
    assert (prompts == 1).all()


def test_nan_fails_the_cell_and_the_sweep_goes_on(score: Scorer, suite: Suite, adapter: Any) -> None:
    adapter.break_rank(4)
    run = score(suite)
    assert [(cell["task"], cell["rank"]) for cell in run.failures] == [
        (task, rank) for task in ("colours", "few", "spell", "prose") for rank in (4, 8)
    ]
    assert run.failures[0]["error"] == (
        "96 of 96 log-likelihoods are not numbers (NaN), the first for document 0. The adapter's weights at this rank, "
        "or the dtype, overflow."
    )
    spelling = [cell["error"] for cell in run.failures if cell["task"] == "spell"]
    assert set(spelling) == {
        "logits were not numbers (NaN) while 24 texts were generated. "
        "The adapter's weights at this rank, or the dtype, overflow."
    }
    assert run.tasks == ()
    assert sorted(run.problems) == ["pooled", "prose", "spell"]


def test_whatever_a_cell_raises_fails_the_cell_and_the_same_command_tries_it_again(
    score: Scorer, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = score.lm.generate_until

    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("in somebody's code\nsecond line")

    monkeypatch.setattr(score.lm, "generate_until", fail)
    run = score(suite)
    assert {(cell["task"], cell["rank"]): cell["error"] for cell in run.failures} == {
        ("spell", rank): "ZeroDivisionError: in somebody's code" for rank in RANKS
    }
    assert run.tasks == ("pooled", "prose")
    monkeypatch.setattr(score.lm, "generate_until", answer)
    again = score(suite)
    assert again.failures == ()
    assert again.tasks == ("pooled", "spell", "prose")


def test_a_rank_that_cannot_be_set_fails_its_cells_only(score: Scorer, suite: Suite, adapter: Any) -> None:
    set_rank = adapter.set_rank

    def fail_at_4(rank: int) -> None:
        if rank == 4:
            raise MemoryError("cannot allocate")
        set_rank(rank)

    adapter.set_rank = fail_at_4
    run = score(suite)
    assert {(cell["task"], cell["rank"]) for cell in run.failures} == {(task, 4) for task in suite.leaves}
    assert run.failures[0]["error"].startswith("out of memory: cannot allocate. The same command tries again")
    done = {(cell["task"], cell["rank"]) for cell in run.record["cells"] if cell["status"] == "done"}
    assert done == {(task, rank) for task in suite.leaves for rank in (1, 8)}


def test_an_aggregation_with_several_values_gives_each_by_name(
    score: Scorer, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = suite.leaves["few"].task

    def by_half(values: list[float]) -> dict[str, float]:
        return {"first": float(np.mean(values[:3])), "last": float(np.mean(values[3:]))}

    monkeypatch.setattr(few, "aggregation", lambda: {"acc": by_half})
    run = score(suite, ranks=[1])
    (cell,) = (cell for cell in run.record["cells"] if cell["task"] == "few")
    assert set(cell["metrics"]) >= {"acc.first,none", "acc.last,none"}


def test_a_task_that_writes_more_than_the_window_holds_is_an_error_before_a_model_is_loaded(suite: Suite) -> None:
    check_room(suite, None)
    check_room(suite, 7)
    with pytest.raises(TaskError, match=r"task 'spell' generates up to 6 tokens .*, and the model's window holds 6, "):
        check_room(suite, 6)


def test_other_shots_do_not_enter_the_record(score: Scorer, task_folder: Path) -> None:
    score(build_suite(parse_tasks("colours"), include_path=task_folder, progress=False), ranks=[1])
    with pytest.raises(RecordError, match=r"already holds task 'colours' with another num_fewshot: 2 there, 0 now"):
        score(build_suite(parse_tasks("colours@0"), include_path=task_folder, progress=False), ranks=[2])
    with pytest.raises(RecordError, match=r"holds another run: limit is None there and 5 here"):
        score(build_suite(parse_tasks("colours"), include_path=task_folder, limit=5, progress=False), ranks=[2])
    with pytest.raises(RecordError, match=r"holds another run: fewshot_seed is 1234 there and 7 here"):
        score(build_suite(parse_tasks("colours"), include_path=task_folder, fewshot_seed=7, progress=False))
    assert score.opened == 1


def test_a_model_that_cannot_be_opened_leaves_no_folder(score: Scorer, suite: Suite) -> None:
    def fail() -> Any:
        raise RankError("no model")

    score.open = fail  # type: ignore[method-assign]
    with pytest.raises(RankError, match="no model"):
        score(suite)
    assert not score.out.exists()


def test_a_model_that_caches_answers_is_refused(score: Scorer, suite: Suite, tmp_path: Path) -> None:
    score.lm = CachingLM(score.lm, str(tmp_path / "cache.db"))
    with pytest.raises(RefusedError, match="use_cache does not know the rank"):
        score(suite)


def test_progress_goes_to_standard_error_and_counts_all_cells(
    score: Scorer, suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    score(suite, ranks=[1])
    capsys.readouterr()
    score(suite, ranks=[1, 8], progress=True)
    out, err = capsys.readouterr()
    per_rank = 24 * 4 + 6 * 4 + 24 + 24  # choices of colours and few, texts of spell and prose
    assert out == ""
    assert f"{per_rank}/{2 * per_rank}" in err  # begins with what was there
    assert f"{2 * per_rank}/{2 * per_rank}" in err
    assert "prose, rank 8" in err
    assert "Running" not in err  # lm-eval's own bars


def test_default_ranks_are_the_powers_of_two_and_the_maximal_rank() -> None:
    assert default_ranks(1) == (1,)
    assert default_ranks(256) == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert default_ranks(48) == (1, 2, 4, 8, 16, 32, 48)


def test_ranks_are_checked_not_clamped() -> None:
    assert check_ranks([8, 1, 8], 8) == (1, 8)
    with pytest.raises(RankError, match=r"rank 16 is outside 1\.\.8, the ranks of this adapter\. Leave it out\."):
        check_ranks([1, 16], 8)
    with pytest.raises(RankError, match=r"rank 0 is outside 1\.\.8"):
        check_ranks([0], 8)
    with pytest.raises(RankError, match=r"no ranks given\. Give ranks from 1 to 8\."):
        check_ranks([], 8)


def test_the_bar_names_task_and_rank_and_what_is_said_meanwhile_stands_on_its_own_line(
    score: Scorer, suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, logger = score.lm.loglikelihood, logging.getLogger("a_library")
    handler = logging.StreamHandler(sys.stderr)  # keeps this stream, as the handlers of libraries do
    logger.addHandler(handler)

    def chatty(requests: Any) -> Any:
        print("a task prints")
        sys.stderr.write("and writes half a line")
        logger.warning("a library logs")
        print("a model warns", file=sys.stderr)  # as `warnings` does; pytest catches those
        return answer(requests)

    score.lm.loglikelihood = chatty
    try:
        score(suite, progress=True)
    finally:
        logger.removeHandler(handler)
    printed = capsys.readouterr()
    lines = printed.err.split("\n")
    assert printed.out == ""
    assert "colours, rank 4:" in printed.err
    said = [lines.count(line) for line in ("a task prints", "and writes half a linea library logs", "a model warns")]
    assert said == [6, 6, 6]  # two tasks of choices at three ranks
    assert handler.stream is sys.stderr
