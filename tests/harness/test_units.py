"""A sweep that is answered in units makes the record of one that is measured cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aurac.errors import ExecutorError
from aurac.harness import units
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import facts_of, run_identity, score_adapter
from aurac.harness.suite import Suite, build_suite
from aurac.harness.units import Answered, Answerer, Unit, units_of
from aurac.results import Run

TASKS = "binary,spell,prose,ending"  # every type of request, and metrics that are no means over documents
RANKS = (1, 8)


def built(folder: Path, tasks: str = TASKS) -> Suite:
    return build_suite(parse_tasks(tasks), include_path=folder, progress=False)


class Pool:
    """Workers in this process, which are given units in turn and answer in another order."""

    def __init__(self, adapter: Any, tokenizer: Any, suites: Sequence[Suite]) -> None:
        self.opened = 0
        self.asked: list[Unit] = []
        self._adapter, self._lm = adapter, hflm_engine(adapter.model, tokenizer, batch_size=1)
        self.workers = [Answerer(lambda suite=suite: self._open(suite)) for suite in suites]  # type: ignore[misc]

    def _open(self, suite: Suite) -> Any:
        self.opened += 1
        return suite, self._lm, self._adapter, facts_of(self._lm, self._adapter, {"model_seconds": 0.0})

    def answer(self, given: Sequence[Unit]) -> Iterator[Answered]:
        for i, unit in reversed(list(enumerate(given))):
            self.asked.append(unit)
            yield self.workers[i % len(self.workers)].answer(unit)


def score(adapter: Any, tokenizer: Any, suite: Suite, out: Path, pool: Pool | None = None) -> Run:
    identity = run_identity(
        suite,
        adapter={"sha256": "aa", "method": "lora", "max_rank": 8},
        base={"sha256": "bb"},
        dtype="float32",
        engine="hflm",
    )
    options: dict[str, Any] = {"identity": identity, "ranks": RANKS, "progress": False}
    lm = hflm_engine(adapter.model, tokenizer, batch_size=1)
    found = score_adapter(
        lambda: (lm, adapter), suite, out=out, **options, answer=None if pool is None else pool.answer
    )
    assert found is not None
    return found


def same(one: Run, other: Run) -> None:
    assert one.path is not None
    assert other.path is not None
    documents = [pd.read_parquet(run.path / "documents.parquet") for run in (one, other) if run.path is not None]
    pd.testing.assert_frame_equal(*documents, check_exact=True)
    cells = [
        [{key: cell[key] for key in ("task", "rank", "status", "metrics")} for cell in run.record["cells"]]
        for run in (one, other)
    ]
    assert cells[0] == cells[1]
    own = {"created", "updated", "cells", "timings"}
    assert {k: v for k, v in one.record.items() if k not in own} == {
        k: v for k, v in other.record.items() if k not in own
    }


@pytest.mark.parametrize("most", [3, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_workers_make_the_record_of_one_process_whatever_the_units(
    most: int, adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_DOCUMENTS", most)
    pool = Pool(adapter, tokenizer, [built(task_folder), built(task_folder)])
    one = score(adapter, tokenizer, built(task_folder), tmp_path / "one")
    assert not one.failures
    same(one, score(adapter, tokenizer, built(task_folder), tmp_path / "units", pool))
    assert pool.opened == 2
    assert (len(pool.asked) > 4 * 2) == (most == 3)


def test_units_are_parts_of_large_tasks_and_no_document_is_in_two(
    task_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_DOCUMENTS", 3)
    suite = built(task_folder, "binary")
    ids = [document.doc_id for document in suite.leaves["binary"].documents]
    found = units_of(suite, [("binary", 1)])
    assert [number for unit in found for number in unit.documents or ()] == ids
    assert {len(unit.documents or ()) for unit in found} <= {2, 3}


def test_texts_that_are_drawn_stay_together(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "MOST_DOCUMENTS", 3)
    suite = built(task_folder, "spell")
    assert len(units_of(suite, [("spell", 1)])) > 1
    for instance in suite.leaves["spell"].task.instances:
        instance.args[1]["do_sample"] = True
    assert [unit.documents for unit in units_of(suite, [("spell", 1)])] == [None]


def test_what_was_answered_before_a_stop_is_not_asked_again(
    adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    suite, first = built(task_folder), Pool(adapter, tokenizer, [built(task_folder)])
    answer = first.answer

    def stops(given: Sequence[Unit]) -> Iterator[Answered]:
        for number, found in enumerate(answer(given)):
            if number == 5:
                raise KeyboardInterrupt
            yield found

    first.answer = stops  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        score(adapter, tokenizer, suite, tmp_path / "run", first)
    second = Pool(adapter, tokenizer, [built(task_folder)])
    same(score(adapter, tokenizer, suite, tmp_path / "one"), score(adapter, tokenizer, suite, tmp_path / "run", second))
    assert len(second.asked) == len(RANKS) * 4 - 5


def test_a_unit_that_fails_makes_its_cell_fail_and_no_other(
    adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(adapter, tokenizer, [built(task_folder)])
    set_rank = adapter.set_rank

    def breaks(rank: int) -> None:
        if rank == 8:
            raise MemoryError("no room")
        set_rank(rank)

    monkeypatch.setattr(type(adapter), "set_rank", lambda _, rank: breaks(rank))
    run = score(adapter, tokenizer, built(task_folder), tmp_path / "run", pool)
    assert {(cell["rank"], str(cell["error"])[:13]) for cell in run.failures} == {(8, "out of memory")}
    assert len(run.failures) == 4


def test_a_worker_with_other_prompts_ends_the_sweep(
    adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    other = built(task_folder)
    instance = other.leaves["spell"].task.instances[0]
    instance.arguments = ("say something else:", instance.arguments[1])
    with pytest.raises(ExecutorError, match="a worker builds other prompts of spell: its packages or data are others"):
        score(adapter, tokenizer, built(task_folder), tmp_path / "run", Pool(adapter, tokenizer, [other]))


def test_a_model_that_cannot_be_opened_ends_the_sweep_and_leaves_nothing(
    adapter: Any, tokenizer: Any, task_folder: Path, tmp_path: Path
) -> None:
    pool = Pool(adapter, tokenizer, [])

    def broken() -> Any:
        raise OSError("no such weights")

    pool.workers = [Answerer(broken)]
    with pytest.raises(ExecutorError, match="OSError: no such weights"):
        score(adapter, tokenizer, built(task_folder), tmp_path / "run", pool)
    assert not (tmp_path / "run").exists()
