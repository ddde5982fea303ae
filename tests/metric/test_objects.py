"""What people see of an object at a prompt and in a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aurac
from aurac.errors import RecordError

RECORDS = Path(__file__).parents[2] / "results/testbed"


def test_a_score_is_a_number_and_one_line() -> None:
    score = aurac.compute({1: 0.25, 2: 0.5, 4: 0.75})
    assert float(score) == score.value == 0.5
    assert repr(score) == "AuracScore(0.5000, log2 axis, ranks 1-2-4)"
    run = aurac.load(RECORDS / "dylora")
    found = repr(aurac.compute(run, task="tilt"))
    assert found.startswith("AuracScore(0.9")
    assert found.endswith(", dylora, tilt, acc, log2 axis, ranks 1-2-4-8-16-32)")
    assert " ± 0.0" in found


def test_notebooks_show_what_print_shows() -> None:
    score = aurac.compute({1: 0.25, 2: 0.5})
    assert score._repr_html_().startswith("<pre>AURAC 37.50")
    adequacy = aurac.smallest_rank(aurac.load(RECORDS / "svd-lora"), margin=0.05)
    assert repr(adequacy) == f"Adequacy(rank={adequacy.rank} of 32, margin=0.05, n_documents=576)"
    assert adequacy._repr_html_().startswith("<pre>")


def test_a_run_is_a_long_frame_and_a_table() -> None:
    run = aurac.load(RECORDS / "dylora")
    frame = run.to_frame()
    assert list(frame.columns) == ["run", "task", "metric", "rank", "accuracy", "n_documents"]
    assert len(frame) == 3 * 6
    tilt = frame[frame["task"] == "tilt"]
    np.testing.assert_array_equal(tilt["accuracy"], run.curve("tilt").accuracies)
    html = run._repr_html_()
    assert "<th>tilt</th>" in html


def test_a_missing_record_is_a_missing_file_too_and_names_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dilora\. Did you mean .*dylora\? Give a folder"):
        aurac.load(RECORDS / "dilora")
    with pytest.raises(RecordError, match=r"holds no run record \(run.json\)"):
        aurac.load(tmp_path)
    for use in (
        aurac.compute,
        aurac.load,
        lambda path: aurac.compare([path]),
        lambda path: aurac.recommend(path, margin=0.01),
    ):
        with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
            use(tmp_path / "nothing.csv")
