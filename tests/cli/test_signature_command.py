"""`aurac signature`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac.analysis.compute import compute
from aurac.results import load

Call = Callable[..., Any]


def test_one_record_prints_one_line_a_task(call: Call, scored: dict[str, Path]) -> None:
    done = call("signature", scored["one"])
    run = load(scored["one"])
    assert done.status == 0
    assert done.out.splitlines() == [str(scored["one"]), *(str(compute(run, task=t).signature) for t in run.tasks)]


def test_comparable_records_exit_with_0(call: Call, scored: dict[str, Path]) -> None:
    done = call("signature", scored["one"], scored["two"])
    assert done.status == 0
    assert done.out.endswith("facts: comparable\ntilt: comparable\n")


def test_another_axis_exits_with_1_and_says_which_key(call: Call, scored: dict[str, Path]) -> None:
    line = str(compute(load(scored["one"]), task="tilt").signature)
    done = call("signature", scored["one"], line, "--task", "tilt", "--axis", "linear")
    assert (done.status, done.err) == (1, "")
    assert done.out.endswith("tilt: not comparable\n  axis: linear | log2  (what is integrated over)\n")


def test_json_holds_lines_and_verdicts(call: Call) -> None:
    done = call("signature", "AURAC|axis:log2|shots:5", "A|ax:log2|k:0", "--format", "json")
    content = json.loads(done.out)
    assert done.status == 1
    assert content["comparisons"][0]["tasks"] == {"score": {"shots": ["5", "0"]}}
    assert content["comparisons"][0]["comparable"] is False
    assert content["signatures"][1]["tasks"] == {"score": "AURAC|axis:log2|shots:0"}


def test_short_lines_have_short_keys(call: Call) -> None:
    assert call("signature", "AURAC|axis:log2|shots:5", "--short").out == "AURAC|axis:log2|shots:5\nA|ax:log2|k:5\n"


@pytest.mark.parametrize("argument", ["nothing", "AURAC|axis"])
def test_a_mistake_is_one_error_line(argument: str, call: Call) -> None:
    done = call("signature", argument)
    assert (done.status, done.out) == (1, "")
    assert "Give a run record" in done.error or "Copy the whole line" in done.error
