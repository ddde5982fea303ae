"""The same command gives the same bytes; batches, the order of ranks, resuming and processes change no score."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac.report.formats import FORMATS
from interrupting import contents, score_command

Call = Callable[..., Any]
SHORT = {"tasks": "facts,cipher", "ranks": "1,4"}


@pytest.fixture
def score(call: Call, adapter: Path, tmp_path: Path) -> Callable[..., Any]:
    """Score into NAME/run, so that tables call all runs alike."""

    def run(name: str, *options: str, **settings: str) -> Any:
        done = call(*score_command(adapter, tmp_path / name / "run", **{**SHORT, **settings}), *options)
        assert done.status == 0, done.err
        return done

    return run


def test_the_same_command_twice_prints_and_records_the_same_bytes(score: Any, call: Call, tmp_path: Path) -> None:
    first, second = score("one"), score("two")
    assert first.out == second.out
    assert contents(tmp_path / "one/run") == contents(tmp_path / "two/run")
    for output in FORMATS:
        tables = [call("compare", tmp_path / name / "run", "--format", output).out for name in ("one", "two")]
        assert tables[0] == tables[1]


def test_neither_batches_nor_the_order_of_ranks_nor_parts_change_a_score(score: Any, tmp_path: Path) -> None:
    score("one")
    for name, size in (("rows", "1"), ("three", "3"), ("auto", "auto")):
        score(name, "--batch-size", size)
    score("ordered", ranks="4")
    score("ordered", ranks="1")
    for task in ("cipher", "facts"):
        score("parts", tasks=task)
    names = ("rows", "three", "auto", "ordered", "parts")
    assert [name for name in names if rows(tmp_path / name) != rows(tmp_path / "one")] == []


def rows(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return list(pq.read_table(folder / "run/documents.parquet").to_pylist())


@pytest.mark.slow
def test_two_processes_change_no_score(score: Any, adapter: Path, tmp_path: Path) -> None:
    score("alone")
    command = [str(arg) for arg in score_command(adapter, tmp_path / "both/run", **SHORT)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "aurac"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, *command], capture_output=True, text=True, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "both") == rows(tmp_path / "alone")
