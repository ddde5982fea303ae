"""`aurac export`: a long table of all scores, or files like lm-eval's; and both read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import aurac
from aurac.cli.export import FORMATS
from aurac.errors import RecordError
from aurac.results import Run
from aurac.results.long_table import long_table

Call = Callable[..., Any]


@pytest.mark.parametrize(("name", "read"), [("parquet", pd.read_parquet), ("csv", pd.read_csv)])
def test_the_long_table_has_every_score_and_gives_the_curve_back(
    name: str, read: Callable[[Path], pd.DataFrame], call: Call, scored: dict[str, Path], tmp_path: Path
) -> None:
    done = call("export", scored["one"], "--format", name, "--out", tmp_path / "sub" / "all")
    assert (done.status, done.out, done.err) == (0, f"{tmp_path / 'sub' / 'all'}\n", "")
    table = read(tmp_path / "sub" / "all")
    assert list(table.columns) == [
        *("run", "method", "task", "rank", "doc_id", "doc_hash", "prompt_hash", "filter", "metric", "score", "weight")
    ]
    assert set(table["run"]) == {"one"}
    assert len(table) == 2 * 3 * 8 * 4  # tasks, ranks, documents, metrics of lm-eval and of ours
    ours = aurac.load(scored["one"]).curve("tilt")
    frame = table[(table["task"] == "tilt") & (table["metric"] == "acc")]
    theirs = aurac.compute(frame).curve
    np.testing.assert_array_equal(theirs.accuracies, ours.accuracies)
    assert set(theirs.documents or ()) == set(ours.documents or ())


def test_lm_eval_files_are_read_back_by_import(call: Call, scored: dict[str, Path], tmp_path: Path) -> None:
    assert call("export", scored["one"], "--format", "lm-eval", "--out", tmp_path / "lm").status == 0
    assert sorted(path.name for path in (tmp_path / "lm").iterdir()) == ["rank-1", "rank-2", "rank-4"]
    assert call("import", tmp_path / "lm", "--out", tmp_path / "again").status == 0
    for task in ("facts", "tilt"):
        ours, theirs = (aurac.compute(folder, task=task) for folder in (scored["one"], tmp_path / "again"))
        assert (ours.value, ours.stderr, ours.signature) == (theirs.value, theirs.stderr, theirs.signature)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_there_is_not_written_over_by_something_else(
    name: str, call: Call, scored: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").write_text("mine")
    done = call("export", scored["one"], "--format", name, "--out", tmp_path / "x")
    assert done.status == 1
    assert "is not empty" in done.error or "is a folder. Give a file" in done.error
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "mine"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_there_is_kept(name: str, call: Call, scored: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("mine")
    done = call("export", scored["one"], "--format", name, "--out", file)
    assert (done.status, done.out) == (1, "")
    assert "exists already. Remove it, or give another file with --out." in done.error or "is a file" in done.error
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_run_without_documents_has_nothing_to_export() -> None:
    with pytest.raises(RecordError, match=r"run 'a' has no documents on disk, so there is nothing to export"):
        long_table(Run("a", None, {}, {}))
