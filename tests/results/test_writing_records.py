"""A record is made, extended and resumed, and never mixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aurac.errors import RecordError
from aurac.results import RunRecord, load
from records_by_hand import IDENTITY, interrupt, make_cell, settings, write

CELLS = [make_cell(task, rank, [rank % 2, 1, 0]) for task in ("b", "a") for rank in (1, 2, 4)]


def test_a_finished_record_is_two_files(record: Path) -> None:
    assert sorted(p.name for p in record.iterdir() if not p.name.startswith(".")) == ["documents.parquet", "run.json"]
    run = json.loads((record / "run.json").read_text())
    assert run["schema_version"] == 1
    assert run["identity"] == IDENTITY
    first = {"task": "t", "rank": 1, "status": "done", "seconds": 0.5, "metrics": {"acc,none": 0.25}}
    assert run["cells"][0] == first
    columns = ["task", "rank", "doc_id", "doc_hash", "prompt_hash", "filter", "metric", "score", "weight"]
    assert pq.read_table(record / "documents.parquet").column_names == columns


@given(order=st.permutations(CELLS), cut=st.integers(0, len(CELLS)))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_the_documents_do_not_depend_on_the_order_or_on_interruptions(
    order: list, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = write(tmp_path_factory.mktemp("whole") / "run", CELLS)
    folder = tmp_path_factory.mktemp("parts") / "run"
    write(folder, CELLS[:1])
    interrupt(folder, order[:cut], plan=plan(1, 2, 4))
    assert len(load(folder).pending) <= len(CELLS) - cut
    with RunRecord(folder, IDENTITY) as record:
        assert all(record.has(cell.task, cell.rank) for cell in order[:cut])
        for cell in order[cut:]:
            record.add(cell)
    assert (folder / "documents.parquet").read_bytes() == (whole / "documents.parquet").read_bytes()
    assert numbers(folder) == numbers(whole)


def plan(*ranks: int) -> dict:
    return {
        "ranks": ranks,
        "asked": {name: {"task": name} for name in ("b", "a")},
        "tasks": {name: settings(3) for name in ("b", "a")},
        "groups": {},
    }


def numbers(folder: Path) -> dict:
    run = json.loads((folder / "run.json").read_text())
    return {key: value for key, value in run.items() if key not in ("created", "updated")}


def test_an_interrupted_sweep_can_be_read_as_far_as_it_got(tmp_path: Path) -> None:
    interrupt(tmp_path / "run", CELLS[:1], plan=plan(1, 2))
    run = load(tmp_path / "run")
    assert run.curves["b"].ranks == (1,)
    assert [(cell["task"], cell["rank"]) for cell in run.pending] == [("b", 2), ("a", 1), ("a", 2)]
    assert run.problems == {"a": "task 'a' was not measured yet. The same `aurac score` goes on from there."}


def test_a_new_record_in_which_nothing_was_measured_leaves_no_folder(tmp_path: Path) -> None:
    interrupt(tmp_path / "run", [], plan=plan(1))
    assert list(tmp_path.iterdir()) == []


def test_an_old_record_survives_a_call_that_fails(record: Path) -> None:
    before = (record / "documents.parquet").read_bytes()
    interrupt(record, [])
    assert (record / "documents.parquet").read_bytes() == before
    assert load(record).ranks == (1, 2)


def test_what_was_noted_survives_a_kill_after_the_last_cell(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), RunRecord(tmp_path / "run", IDENTITY) as record:
        record.extend(**plan(1))
        record.note(versions={"torch": "2"})
        for cell in CELLS[::3]:
            record.add(cell)
        raise KeyboardInterrupt
    with RunRecord(tmp_path / "run", IDENTITY):
        pass
    assert load(tmp_path / "run").record["versions"] == {"torch": "2"}


def test_more_ranks_and_tasks_extend_a_record(record: Path) -> None:
    write(record, [make_cell("t", 4, [1, 1, 1, 1]), make_cell("u", 4, [0, 1])])
    run = load(record)
    assert run.curves["t"].accuracies.tolist() == [0.25, 0.75, 1.0]
    assert run.curves["u"].ranks == (4,)


def test_a_failed_cell_is_measured_again(tmp_path: Path) -> None:
    write(tmp_path / "run", [make_cell("t", 1, [], error="out of luck")])
    with RunRecord(tmp_path / "run", IDENTITY) as record:
        assert not record.has("t", 1)
        record.add(make_cell("t", 1, [1.0, 0.0]))
    assert load(tmp_path / "run").curves["t"].accuracies.tolist() == [0.5]


def test_another_run_in_the_folder_is_named_by_what_differs(record: Path) -> None:
    other = {**IDENTITY, "adapter": {**IDENTITY["adapter"], "sha256": "zz"}}
    message = r"run holds another run: adapter\.sha256 is 'aa' there and 'zz' here\. Give another folder with --out\."
    with pytest.raises(RecordError, match=message), RunRecord(record, other):
        pass
    with (
        pytest.raises(RecordError, match=r"limit is None there and 100 here"),
        RunRecord(record, {**IDENTITY, "limit": 100}),
    ):
        pass


def test_a_moved_adapter_is_still_the_same_run(record: Path) -> None:
    with RunRecord(record, {**IDENTITY, "adapter": {**IDENTITY["adapter"], "path": "elsewhere"}}) as again:
        assert again.has("t", 1)


@pytest.mark.parametrize(("key", "value"), [("num_fewshot", 5), ("requests_sha256", "dd"), ("version", "2.0")])
def test_a_task_with_other_settings_or_prompts_does_not_enter_the_record(record: Path, key: str, value: object) -> None:
    message = rf"already holds task 't' with another {key}: .* there, {value!r} now"
    with pytest.raises(RecordError, match=message), RunRecord(record, IDENTITY) as again:
        again.extend(asked={"t": {"task": "t"}}, tasks={"t": settings(4, **{key: value})}, groups={}, ranks=[4])


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RecordError, match=r"holds 'thesis\.tex' but no run record"), RunRecord(tmp_path, IDENTITY):
        pass
    with pytest.raises(RecordError, match=r"thesis\.tex is a file"), RunRecord(tmp_path / "thesis.tex", IDENTITY):
        pass


def test_a_second_process_is_refused_while_a_record_is_open(tmp_path: Path) -> None:
    code = f"""
from aurac.results import RunRecord
from aurac.errors import RecordError
try:
    with RunRecord({str(tmp_path / "run")!r}, {IDENTITY!r}):
        print("opened")
except RecordError as error:
    print(error)
"""
    command = [sys.executable, "-c", code]
    with RunRecord(tmp_path / "run", IDENTITY):
        refused = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    opened = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert refused.startswith("another process is writing ")
    assert "Wait for it to end, or give another folder with --out." in refused
    assert opened == "opened\n"


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    cell = make_cell("t", 1, [None, None], metric="f1", value=float("nan"))
    run = load(write(tmp_path / "run", [cell], versions={"x": float("inf")}))
    assert run.record["cells"][0]["metrics"] == {"f1,none": None}
    assert "NaN" not in (tmp_path / "run" / "run.json").read_text()
    assert run.problems["t"].startswith("the accuracy at rank 1 is nan")


def test_task_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "run", [make_cell("../../etc/passwd", 1, [1.0])])
    interrupt(tmp_path / "run", [make_cell("../x", 1, [1.0])])
    assert [p.name for p in (tmp_path / "run" / "cells").iterdir()] == ["..%2Fx@1.parquet"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_what_was_there(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: BinaryIO, *_: object, **__: object) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", full)
    before = (record / "documents.parquet").read_bytes()
    with pytest.raises(OSError, match="No space left on device"):
        write(record, [make_cell("t", 4, [1, 1, 1, 1])])
    assert (record / "documents.parquet").read_bytes() == before
    assert list((record / "cells").iterdir()) == []
    monkeypatch.undo()
    write(record, [make_cell("t", 4, [1, 1, 1, 1])])
    assert load(record).curves["t"].ranks == (1, 2, 4)


def test_a_killed_process_loses_no_finished_cell(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from records_by_hand import IDENTITY, make_cell, settings
from aurac.results import RunRecord
with RunRecord({str(tmp_path / "run")!r}, IDENTITY) as record:
    record.extend(asked={{"t": {{"task": "t"}}}}, tasks={{"t": settings(2)}}, groups={{}}, ranks=range(1, 3_000))
    for rank in range(1, 3_000):
        record.add(make_cell("t", rank, [0, 1]))
        print(rank, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        finished = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        finished += [int(line) for line in process.stdout]
    assert set(load(tmp_path / "run").curves["t"].ranks) >= set(finished)
    with RunRecord(tmp_path / "run", IDENTITY) as record:  # the lock of the dead process is free
        assert all(record.has("t", rank) for rank in finished)
