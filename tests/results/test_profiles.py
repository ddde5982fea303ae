"""`profile.json`: costs beside a record, never those of another adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurac.errors import RecordError
from aurac.results import RunRecord, load, read_profile
from aurac.results.profile import Cost, Profile, ProfileRow, write_profile
from records_by_hand import IDENTITY, make_cell, write

ROWS = (
    ProfileRow(1, 10, 40, Cost(0.5, 0.25, None, (0.5,), (0.25,)), Cost(0.4, 0.2, None, (0.4,), (0.2,))),
    ProfileRow(2, 20, 80, Cost(0.6, 0.3, 2**30), Cost(0.4, 0.2, 2**29)),
)
PROFILE = Profile(
    adapter={"sha256": "aa", "max_rank": 4},
    base={"sha256": "bb"},
    settings={"prompt_tokens": 8, "dtype": "float32"},
    hardware={"device": "cpu", "name": "a machine", "threads": 1},
    versions={"torch": "2"},
    rows=ROWS,
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write(tmp_path / "run", [make_cell("arc", 1, [0, 1]), make_cell("arc", 2, [1, 1])])


def test_a_profile_is_read_back_as_it_was_written_and_leaves_the_record_alone(record: Path) -> None:
    before = (record / "run.json").read_bytes()
    write_profile(record, PROFILE)
    assert read_profile(load(record)) == PROFILE
    assert (record / "run.json").read_bytes() == before
    assert sorted(path.name for path in record.iterdir() if path.name.startswith(".")) in ([], [".lock"])


def test_a_record_without_a_profile_has_none(record: Path) -> None:
    assert read_profile(load(record)) is None
    assert read_profile(replace(load(record), path=None)) is None


def test_a_folder_that_was_profiled_first_can_be_scored_into(tmp_path: Path) -> None:
    write_profile(tmp_path / "run", PROFILE)
    with RunRecord(tmp_path / "run", IDENTITY):
        pass
    assert read_profile(load(tmp_path / "run")) == PROFILE


def test_the_profile_of_another_adapter_is_neither_written_nor_read(record: Path) -> None:
    other = replace(PROFILE, adapter={"sha256": "ff"})
    with pytest.raises(RecordError, match=r"the profile is of the adapter ff, the record of aa .* Profile the adapter"):
        write_profile(record, other)
    assert not (record / "profile.json").exists()
    write_profile(record, PROFILE)
    file = record / "profile.json"
    file.write_text(file.read_text().replace('"aa"', '"ee"'))
    with pytest.raises(RecordError, match=r"the profile is of the adapter ee, the record of aa"):
        read_profile(load(record))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("rows"), r"profile.json is damaged: KeyError 'rows'. Delete it and run"),
        (lambda content: content["rows"][0].pop("merged"), r"is damaged: KeyError 'merged'"),
        (lambda content: content["rows"][0].update(speed=1), r"is damaged: TypeError"),
        (lambda content: content.update(schema_version=2), r"has schema version 2, this aurac reads 1"),
    ],
)
def test_a_damaged_profile_is_said_to_be_so(change: Any, message: str, record: Path) -> None:
    file = write_profile(record, PROFILE)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=message):
        read_profile(load(record))


def test_a_profile_that_is_no_json_is_damaged(record: Path) -> None:
    (record / "profile.json").write_text("{")
    with pytest.raises(RecordError, match=r"profile.json is damaged: JSONDecodeError"):
        read_profile(load(record))


def test_a_profile_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"is a file. Give the folder of a run record with --out"):
        write_profile(tmp_path / "file", PROFILE)
