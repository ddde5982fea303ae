"""Damage is found, and the message names the file and the cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from aurac.errors import RecordError
from aurac.results import RunRecord, load
from aurac.results.documents import read_documents
from records_by_hand import IDENTITY, interrupt, make_cell, settings, write


def edit(record: Path, change: Callable[[dict], object]) -> None:
    run = json.loads((record / "run.json").read_text())
    change(run)
    (record / "run.json").write_text(json.dumps(run))


def edit_documents(record: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(record / "documents.parquet")
    pq.write_table(change(table), record / "documents.parquet")


@contextmanager
def repaired(record: Path, match: str) -> Iterator[RunRecord]:
    """Open a damaged record for writing, which warns."""
    with ExitStack() as stack:
        with pytest.warns(UserWarning, match=match):
            again = stack.enter_context(RunRecord(record, IDENTITY))
        yield again


def test_no_folder_and_no_record_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no such folder: .*nowhere\. Give a folder that `aurac score` wrote\."):
        load(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"holds no run record \(run\.json\)"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1", "\x00", "[" * 100_000])
def test_json_that_is_none_is_named(record: Path, text: str) -> None:
    (record / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"run\.json is damaged, not JSON"):
        load(record)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"schema_version": "1"}', '{"schema_version": true}'])
def test_json_of_something_else_is_no_record(record: Path, text: str) -> None:
    (record / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"run\.json is no run record: it has no schema_version"):
        load(record)


@pytest.mark.parametrize(("version", "remedy"), [(3, "Upgrade aurac"), (0, "Score again")])
def test_schema_versions_are_checked_both_ways(record: Path, version: int, remedy: str) -> None:
    edit(record, lambda run: run.update(schema_version=version))
    with pytest.raises(RecordError, match=rf"has schema version {version}, this aurac reads 1 and 2\. {remedy}\."):
        load(record)


def test_missing_parts_are_named(record: Path) -> None:
    edit(record, lambda run: run.update(tasks=[], cells={}))
    with pytest.raises(RecordError, match=r"run\.json is damaged: tasks, cells missing or of the wrong kind"):
        load(record)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run["asked"].update(t={}),
        lambda run: run["asked"].update(t=None),
        lambda run: run.update(tasks={}),
        lambda run: run["tasks"].update(t=3),
        lambda run: run["cells"].append(7),
        lambda run: run["cells"][0].update(metrics=None),
        lambda run: run["cells"][0]["metrics"].update({"acc,none": "much"}),
    ],
)
def test_json_with_holes_is_damage_and_no_traceback(record: Path, change: Callable[[dict], object]) -> None:
    edit(record, change)
    with pytest.raises(RecordError, match=r"damaged"):
        load(record)


def test_a_truncated_table_is_named_with_the_remedy(record: Path) -> None:
    data = (record / "documents.parquet").read_bytes()
    (record / "documents.parquet").write_bytes(data[: len(data) // 2])
    damaged = (record / "documents.parquet").read_bytes()
    message = r"documents\.parquet is damaged: .*sets what is damaged aside and measures only that again\."
    with pytest.raises(RecordError, match=message):
        load(record)
    with repaired(record, r"damaged/documents\.parquet; what was lost is measured again") as again:
        assert not again.has("t", 1)
        for rank in (1, 2):
            again.add(make_cell("t", rank, [0, 1, 0, 0]))
    assert load(record).curves["t"].accuracies.tolist() == [0.25, 0.25]
    assert (record / "damaged" / "documents.parquet").read_bytes() == damaged


def test_damage_in_the_table_costs_the_task_that_it_hits(tmp_path: Path) -> None:
    cells = [make_cell(task, rank, [0, 1, 1, 0]) for task in ("a", "b", "c") for rank in (1, 2)]
    record = write(tmp_path / "run", cells)
    before = (record / "documents.parquet").read_bytes()
    scores = pq.ParquetFile(record / "documents.parquet").metadata.row_group(1).column(7)
    flip_a_bit(record / "documents.parquet", scores.dictionary_page_offset + scores.total_compressed_size - 2)
    with pytest.raises(
        RecordError, match=r"documents\.parquet is damaged at cells \(b, rank 1\) to \(b, rank 2\): .*CRC"
    ):
        load(record)
    with repaired(record, r"is damaged at cells \(b, rank 1\)") as again:
        assert [cell for cell in cells if not again.has(cell.task, cell.rank)] == cells[2:4]
        for cell in cells[2:4]:
            again.add(cell)
    assert (record / "documents.parquet").read_bytes() == before


def flip_a_bit(file: Path, place: int, *, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_a_bit_that_flips_anywhere_is_found_or_changes_no_row(step: int, tmp_path: Path, record_property: Any) -> None:
    cells = [make_cell(task, rank, [0, 1, 1, 0]) for task in "abc" for rank in (1, 2)]
    folder = write(tmp_path / "run", cells)
    data = (folder / "documents.parquet").read_bytes()
    whole = read_documents(folder)
    for place in range(0, len(data), step):
        (folder / "documents.parquet").write_bytes(data)
        flip_a_bit(folder / "documents.parquet", place, bit=place % 8)
        found = read_documents(folder)
        assert found.damage or found.rows.keys() == whole.rows.keys()
        assert all(rows.equals(whole.rows[cell]) for cell, rows in found.rows.items())
        assert found.about in (whole.about, None)
    record_property("faults", len(range(0, len(data), step)))


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 1, "cells": []}'])
def test_an_unreadable_run_json_is_rebuilt_from_what_lies_beside_the_documents(record: Path, text: str) -> None:
    whole = load(record)
    (record / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"holds another run: limit is None there and 3 here"):
        RunRecord(record, {**IDENTITY, "limit": 3}).__enter__()
    with repaired(record, r"damaged; the cells in documents\.parquet are kept") as again:
        assert (again.has("t", 1), again.has("t", 2)) == (True, True)
    assert load(record).curves["t"].accuracies.tolist() == whole.curves["t"].accuracies.tolist()
    assert (record / "damaged" / "run.json").read_text() == text


def test_where_nothing_says_what_was_measured_all_is_set_aside_and_measured_again(tmp_path: Path) -> None:
    record, cell = tmp_path / "run", make_cell("t", 1, [0, 1])
    interrupt(record, [cell], plan={"asked": {}, "tasks": {"t": settings(2)}, "groups": {}, "ranks": [1]})
    (record / "run.json").write_text("{")
    with repaired(record, r"damaged; nothing else says what was measured") as again:
        assert not again.has("t", 1)
        again.extend(asked={"t": {"task": "t"}}, tasks={"t": settings(2)}, groups={}, ranks=[1])
        again.add(cell)
    assert sorted(path.name for path in (record / "damaged").iterdir()) == ["run.json", "t@1.parquet"]
    assert load(record).curves["t"].accuracies.tolist() == [0.5]


@pytest.mark.parametrize("metrics", [None, {"acc,none": "much"}, {}])
def test_a_damaged_entry_costs_its_cell(record: Path, metrics: object) -> None:
    edit(record, lambda run: run["cells"][1].update(metrics=metrics))
    with pytest.raises(RecordError, match=r"run\.json is damaged at cell \(t, rank 2\): the(re are no)? metrics"):
        load(record)
    with repaired(record, r"cell \(t, rank 2\)") as again:
        assert (again.has("t", 1), again.has("t", 2)) == (True, False)
        again.add(make_cell("t", 2, [1, 1, 0, 1]))
    assert load(record).curves["t"].accuracies.tolist() == [0.25, 0.75]


def test_a_second_damage_does_not_overwrite_what_was_set_aside(record: Path) -> None:
    for text in ("{", "["):
        (record / "run.json").write_text(text)
        with repaired(record, "Copied to"):
            pass
    assert {path.name: path.read_text() for path in (record / "damaged").iterdir()} == {
        "run.json": "{", "run-2.json": "[",
    }  # fmt: skip


def test_a_disk_that_cannot_be_read_is_no_damage(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"), RunRecord(record, IDENTITY):
        pass
    assert not (record / "damaged").exists()


def test_a_table_without_a_column_is_damage(record: Path) -> None:
    edit_documents(record, lambda table: table.drop_columns("prompt_hash"))
    with pytest.raises(RecordError, match=r"documents\.parquet is damaged at cells .*prompt_hash"):
        load(record)


def test_a_cell_without_rows_is_named_and_measured_again(record: Path) -> None:
    edit_documents(record, lambda table: table.filter(pc.equal(table["rank"], 2)))
    with pytest.raises(RecordError, match=r"documents\.parquet is damaged at cell \(t, rank 1\): it lacks rows"):
        load(record)
    with repaired(record, "it lacks rows") as again:
        assert (again.has("t", 1), again.has("t", 2)) == (False, True)
        again.add(make_cell("t", 1, [0, 1, 0, 0]))
    assert load(record).curves["t"].accuracies.tolist() == [0.25, 0.75]


def test_a_half_written_cell_is_named_and_measured_again(record: Path) -> None:
    interrupt(record, [make_cell("t", 4, [0, 1, 0, 0])])
    file = record / "cells" / "t@4.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RecordError, match=r"t@4\.parquet is damaged"):
        load(record)
    with repaired(record, r"t@4\.parquet is damaged") as again:
        assert not again.has("t", 4)
    assert load(record).curves["t"].ranks == (1, 2)


def test_a_cell_under_another_name_is_damage(record: Path) -> None:
    interrupt(record, [make_cell("t", 4, [0, 1, 0, 0])])
    (record / "cells" / "t@4.parquet").rename(record / "cells" / "t@8.parquet")
    with pytest.raises(
        RecordError, match=r"t@8\.parquet is damaged at cell t, rank 8: it says that it holds t at rank 4"
    ):
        load(record)


def test_changed_scores_contradict_run_json(record: Path) -> None:
    def raise_scores(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index("score"), "score", pa.array([1.0] * len(table)))

    edit_documents(record, raise_scores)
    message = r"run\.json and documents\.parquet disagree on task 't' at rank 1: 0\.25 and 1\."
    with pytest.raises(RecordError, match=message):
        load(record)


def test_other_prompts_at_another_rank_are_found(record: Path) -> None:
    def change_prompts(table: pa.Table) -> pa.Table:
        prompts = pc.if_else(pc.equal(table["rank"], 2), "other", table["prompt_hash"])
        return table.set_column(table.column_names.index("prompt_hash"), "prompt_hash", prompts)

    edit_documents(record, change_prompts)
    with pytest.raises(RecordError, match=r"task 't' has other prompts at rank 2 than at rank 1"):
        load(record)


def set_column(name: str, values: Callable[[list[Any]], list[Any]], kind: Any = None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        array = pa.array(values(table[name].to_pylist()), type=kind or table.schema.field(name).type)
        return table.set_column(table.column_names.index(name), name, array)

    return change


@pytest.mark.parametrize("rows", [1, 4, 8])
def test_rows_that_occur_twice_are_damage_not_documents(record: Path, rows: int) -> None:
    edit_documents(record, lambda table: pa.concat_tables([table, table.slice(0, rows)]))
    message = r"documents\.parquet is damaged at .*: a row occurs twice: task 't', rank 1, document \d, metric 'acc'"
    with pytest.raises(RecordError, match=message):
        load(record)


@pytest.mark.parametrize("name", ["task", "rank", "doc_id", "doc_hash", "prompt_hash", "filter", "metric"])
def test_a_row_without_its_place_is_damage(record: Path, name: str) -> None:
    edit_documents(record, set_column(name, lambda values: [None, *values[1:]]))
    with pytest.raises(RecordError, match=rf"documents\.parquet is damaged at .*: a row has no {name}: task "):
        load(record)


def test_a_rank_below_that_of_the_base_model_is_damage(record: Path) -> None:
    edit_documents(record, set_column("rank", lambda values: [-1, *values[1:]]))
    with pytest.raises(
        RecordError, match=r"documents\.parquet is damaged at .*: a rank is below 0: task 't', rank -1, "
    ):
        load(record)


@pytest.mark.parametrize(
    ("name", "to", "kind"), [("score", bool, "bool"), ("score", str, "string"), ("rank", str, "string")]
)
def test_a_column_of_another_type_is_damage(record: Path, name: str, to: type, kind: str) -> None:
    edit_documents(record, set_column(name, lambda values: [to(value) for value in values], pa.type_for_alias(kind)))
    with pytest.raises(RecordError, match=rf"damaged at .*: the column {name} is of type {kind}, not \w+"):
        load(record)


def test_a_cell_that_is_listed_twice_is_named(record: Path) -> None:
    edit(record, lambda run: run["cells"].append({**run["cells"][0], "status": "failed", "error": "x"}))
    with pytest.raises(RecordError, match=r"run\.json is damaged at cell \(t, rank 1\): run\.json lists it twice"):
        load(record)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("identity.adapter", lambda run: run["identity"].update(adapter="a")),
        ("identity.base", lambda run: run["identity"].update(base=3)),
        ("tasks.t", lambda run: run["tasks"].update(t=[])),
        ("asked.t", lambda run: run["asked"].update(t="t")),
    ],
)
def test_parts_of_parts_of_the_wrong_kind_are_named(record: Path, part: str, change: Callable[[dict], object]) -> None:
    edit(record, change)
    with pytest.raises(RecordError, match=rf"run\.json is damaged: {part} missing or of the wrong kind\. Score again"):
        load(record)
