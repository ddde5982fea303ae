"""`aurac compute`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tolerance import near

Call = Callable[..., Any]


@pytest.fixture
def curve_csv(tmp_path: Path) -> Path:
    path = tmp_path / "curve.csv"
    path.write_text("rank,accuracy\n1,0.40\n2,0.50\n4,0.46\n8,0.60\n")
    return path


def test_it_prints_both_values_the_weights_and_the_signature(call: Call, curve_csv: Path) -> None:
    done = call("compute", curve_csv)
    assert done.status == 0
    assert done.err == ""
    assert "48.67" in done.out  # (.40/2 + .50 + .46 + .60/2) / 3
    assert "50.43" in done.out  # linear: (.5*.4 + 1.5*.5 + 3*.46 + 2*.6) / 7
    assert "AURAC|axis:log2|rule:trap|ranks:1-2-4-8|" in done.out


def test_json_holds_the_same_numbers_in_fractions(call: Call, curve_csv: Path) -> None:
    content = json.loads(call("compute", curve_csv, "--format", "json", "--axis", "linear").out)
    assert content["value"] == near(0.5042857142857142)
    assert content["value_log2"] == near(0.48666666666666664)
    assert content["stderr"] is None


def test_a_task_that_has_to_be_chosen_is_asked_for_by_its_flag(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("task,rank,accuracy\narc,1,0.4\narc,2,0.5\nmmlu,1,0.3\nmmlu,2,0.4\n")
    done = call("compute", path)
    assert done.status == 1
    assert done.err.endswith("has 2 tasks. Choose one: arc, mmlu; say --task arc.\n")


def test_a_part_of_the_ranks_may_be_asked_for(call: Call, curve_csv: Path) -> None:
    content = json.loads(call("compute", curve_csv, "--within", "2", "4", "--format", "json").out)
    assert content["value"] == pytest.approx(0.48)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank,accuracy\n1,40\n2,50\n", r"accuracy 40 at rank 1|above 1"),
        ("rank,accuracy\n1,0.4\n1,0.5\n", r"rank 1 "),
        ("rank,accuracy\n1,x\n", r"line 2"),
        ("rank,precision\n1,0.4\n", r"rank,accuracy"),
        ("rank,accuracy\n0,0.4\n2,0.5\n", r"rank 0"),
        ("rank,accuracy\n1,nan\n2,0.5\n", r"nan"),
    ],
)
def test_a_bad_curve_is_one_error_line(text: str, message: str, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(text)
    done = call("compute", path)
    assert (done.status, done.out) == (1, "")
    assert str(path) in done.error
    assert any(part in done.error for part in message.split("|"))


def test_a_file_that_is_not_there_is_one_error_line(call: Call, tmp_path: Path) -> None:
    done = call("compute", tmp_path / "nothing.csv")
    assert done.status == 1
    assert "nothing.csv" in done.error


def test_a_record_needs_to_know_which_task(call: Call, scored: dict[str, Path]) -> None:
    assert "facts, tilt" in call("compute", scored["one"]).error
    done = call("compute", scored["one"], "--task", "tilt")
    assert done.status == 0
    assert "8 documents" in done.out or "n:8" in done.out
