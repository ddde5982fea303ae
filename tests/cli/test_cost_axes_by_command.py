"""Axes that are not the rank, from the command line: of adapters with and without weights and times."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_by_peft import TASKS

Call = Callable[..., Any]


@pytest.mark.parametrize(
    "axis", ["params", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bytes", "flops"))]
)
def test_every_command_that_integrates_takes_a_size(
    axis: str, call: Call, scored: dict[str, Path], tmp_path: Path
) -> None:
    runs = list(scored.values())
    assert f"|axis:{axis}|" in call("compute", runs[0], "--task", "tilt", "--axis", axis).out
    assert f"|axis:{axis}|" in call("compare", *runs, "--axis", axis, "--format", "markdown").out
    assert "comparable" in call("signature", *runs, "--axis", axis).out
    for kind in ("curves", "difference"):
        done = call("plot", kind, *runs, "--axis", axis, "--out", tmp_path / f"{kind}.png")
        assert (done.status, done.err) == (0, "")
    shutil.copytree(tmp_path, tmp_path / "empty")
    for run in runs:
        shutil.copytree(run, tmp_path / "results" / run.name)
    assert call("report", tmp_path / "results", "--axis", axis).status == 0
    assert f"|axis:{axis}|" in (tmp_path / "results" / "LEADERBOARD.md").read_text()


def test_a_scoring_prints_the_area_over_the_parameters(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("score", adapters["one"], "--tasks", "tilt", *TASKS, "--out", tmp_path / "run", "--axis", "params")
    assert done.status == 0
    assert "|axis:params|" in call("compare", tmp_path / "run", "--axis", "params", "--format", "markdown").out
    assert (
        "AURAC is the area over the trainable parameters" in call("compare", tmp_path / "run", "--axis", "params").out
    )


def test_without_times_there_is_one_line_and_nothing_is_measured(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = call("score", adapters["one"], "--tasks", "tilt", *TASKS, "--out", out, "--axis", "latency")
    assert (done.status, done.out, out.exists()) == (1, "", False)
    assert done.error.startswith(f"error: {out} has no times, which the latency axis needs. Measure them first: `aurac")
    done = call("compare", *scored.values(), "--axis", "latency")
    assert (done.status, done.out) == (1, "")
    assert "run 'one' has no times. Measure them with `aurac profile ADAPTER_DIR --out" in done.error


def test_a_curve_has_no_cost(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("rank,accuracy\n1,0.2\n2,0.4\n")
    done = call("compute", tmp_path / "c.csv", "--axis", "params")
    assert (done.status, done.out) == (1, "")
    assert "the params axis needs run records: a curve says nothing about what a rank costs" in done.error
