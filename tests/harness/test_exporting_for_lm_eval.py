"""Records of ours in the files that lm-eval writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aurac.errors import RecordError
from aurac.harness.exchange.imported_cell import reported
from aurac.harness.exchange.importing import import_lm_eval
from aurac.harness.exchange.lm_eval_export import write_lm_eval
from aurac.harness.exchange.lm_eval_names import samples_name
from aurac.harness.exchange.lm_eval_output import rank_folders
from aurac.results import Run, load
from lm_eval_folders import ADAPTER, OURS, RANKS, the_file
from records_by_hand import make_cell, write
from tolerance import assert_near


@pytest.mark.parametrize("task", ["", "a/b", "../a", "a\0b", "a" * 300, "\ud800"], ids=ascii)
def test_a_task_that_no_file_can_be_called_by_has_no_samples_file(task: str) -> None:
    with pytest.raises(RecordError, match=r"cannot be part of a file's name .* half a character\. Do this\."):
        samples_name(task, "2026-01-01T00-00-00", advice="Do this.")
    assert samples_name("mmlu..é", "x", advice="") == "samples_mmlu..é_x.jsonl"


def test_a_record_whose_task_no_file_can_be_called_by_is_not_exported_for_lm_eval(tmp_path: Path) -> None:
    run = load(write(tmp_path / "run", [make_cell("a/b", 1, [1, 0]), make_cell("a/b", 2, [1, 1])]))
    with pytest.raises(RecordError, match=r"the task 'a/b' cannot be .* Export it with --format parquet or csv\."):
        write_lm_eval(run, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_record_that_was_exported_for_lm_eval_is_imported_as_it_was(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    own = written[1]
    write_lm_eval(own, tmp_path / "exported")
    again = import_lm_eval(rank_folders(tmp_path / "exported"), out=tmp_path / "again", adapter=ADAPTER)
    assert again.tasks == own.tasks
    for task in own.tasks:
        ours, theirs = own.curve(task), again.curve(task)
        assert ours.documents == theirs.documents
        np.testing.assert_allclose(theirs.accuracies, ours.accuracies, rtol=1e-12)
        if ours.scores is not None:
            assert_near(theirs.scores, ours.scores)


def test_exported_results_are_those_of_lm_eval_with_their_standard_errors(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    write_lm_eval(written[1], tmp_path / "exported")
    for rank in RANKS:
        ours, theirs = (
            json.loads(the_file(folder / f"rank-{rank}", "results_*.json").read_text())
            for folder in (tmp_path / "exported", written[0])
        )
        assert reported(ours["groups"]["pooled"]) == pytest.approx(reported(theirs["groups"]["pooled"]))
        for task in ("colours", "spell", "prose"):
            own = reported(ours["results"][task])
            known = {key: value for key, value in own.items() if key.partition(",")[0] not in OURS}
            assert known == pytest.approx(reported(theirs["results"][task]), rel=1e-6)
    score = np.array([row["acc"] for row in samples_of(tmp_path / "exported" / "rank-2", "colours")])
    found = json.loads(the_file(tmp_path / "exported" / "rank-2", "results_*.json").read_text())["results"]["colours"]
    assert found["acc_stderr,none"] == pytest.approx(score.std(ddof=1) / len(score) ** 0.5)
    assert found["acc,none"] == score.mean()


def samples_of(folder: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in the_file(folder, f"samples_{task}_*.jsonl").read_text().splitlines()]
