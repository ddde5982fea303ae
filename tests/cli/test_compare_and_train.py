"""`aurac compare`, `aurac train` and `aurac demo`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac import testbed
from aurac.results import load
from aurac_adapters import read_adapter

Call = Callable[..., Any]


def test_two_runs_become_a_leaderboard_and_plots(call: Call, scored: dict[str, Path], tmp_path: Path) -> None:
    plots = [tmp_path / "curves.png", tmp_path / "curves.pdf"]
    done = call(
        "compare", scored["one"], scored["two"], "--baseline", "two", "--full", "--plot", plots[0], "--plot", plots[1]
    )
    assert done.status == 0
    assert "Paired difference to two" in done.out
    assert all(plot.stat().st_size > 1000 for plot in plots)


def test_csv_has_one_row_for_each_run_and_task(call: Call, scored: dict[str, Path]) -> None:
    rows = list(csv.DictReader(io.StringIO(call("compare", scored["one"], scored["two"], "--format", "csv").out)))
    assert sorted((row["run"], row["task"]) for row in rows) == sorted(
        (run, task) for run in ("one", "two") for task in ("facts", "tilt", "macro")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--baseline", "thre"), "unknown baseline 'thre'"),
        (("--tasks", "tild"), "Did you mean 'tilt'"),
        (("--plot", "curves.gif"), "its ending is '.gif'"),
    ],
)
def test_mistakes_in_a_comparison_are_one_error_line(
    options: tuple[str, ...], message: str, call: Call, scored: dict[str, Path]
) -> None:
    done = call("compare", scored["one"], scored["two"], *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_a_folder_without_a_record_is_one_error_line(call: Call, tmp_path: Path) -> None:
    done = call("compare", tmp_path)
    assert done.status == 1
    assert str(tmp_path) in done.error


TRAIN = ("--model", testbed.MODEL, "--data", testbed.TRAIN, "--rank", "4", "--max-steps", "2", "--batch-size", "4")


def test_training_prints_the_folder_and_records_the_method(call: Call, tmp_path: Path) -> None:
    done = call(
        "train", "--method", "matryoshka", "--normalize", *TRAIN, "--train-ranks", "1,4", "--out", tmp_path / "m"
    )
    assert (done.status, done.out) == (0, f"{tmp_path / 'm'}\n")
    method = read_adapter(tmp_path / "m").method
    assert (method.name, method.train_ranks, method.scaling, method.normalize) == ("matryoshka", (1, 4), "sqrt", True)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frozen",), "--frozen is for method dylora, not for matryoshka"),
        (("--per-row",), "--per-row is for method dylora, not for matryoshka"),
        (("--train-ranks", "2,8"), "train rank 8 is out of range; allowed: 1 to 4"),
        (("--target-modules", "q_prj"), "Did you mean 'q_proj'"),
        (("--data", "gsm9k"), "gsm8k"),
        (("--model", "/no/such/model"), "/no/such/model"),
    ],
)
def test_mistakes_in_a_training_are_one_error_line_and_leave_nothing(
    options: tuple[str, ...], message: str, call: Call, tmp_path: Path
) -> None:
    done = call("train", "--method", "matryoshka", *TRAIN, "--out", tmp_path / "m", *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_demo_goes_from_training_to_leaderboard(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurac.cli.demo.STEPS", 2)
    monkeypatch.setattr("aurac.cli.demo.RANK", 2)
    monkeypatch.setattr("aurac.cli.score.report", lambda *_: "")  # plots of single runs, which other tests look at
    done = call("demo", "--out", tmp_path / "demo")
    assert done.status == 0
    for name in ("lora", "svd-lora", "dylora", "matryoshka-prefix", "matryoshka-trained"):
        assert load(tmp_path / "demo/runs" / name).tasks == testbed.TASK_NAMES
        assert name in done.out
    assert "$ aurac train --method lora" in done.err
    for name in ("leaderboard.md", "leaderboard.csv", "curves.png", "curves.pdf", "curves.svg"):
        assert (tmp_path / "demo" / name).stat().st_size > 500
    assert json.loads((tmp_path / "demo/leaderboard.json").read_text())["baseline"] == "lora"


@pytest.mark.usefixtures("undrawn")
def test_a_second_demo_trains_and_measures_nothing(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aurac.cli.demo as demo
    import aurac.harness.sweep as sweep

    monkeypatch.setattr(demo, "STEPS", 2)
    monkeypatch.setattr(demo, "RANK", 2)
    monkeypatch.setattr(demo, "METHODS", ("lora",))
    monkeypatch.setattr(demo, "RUNS", {name: demo.RUNS[name] for name in ("lora", "svd-lora")})
    monkeypatch.setattr(demo, "show", lambda runs, _: print(*[load(run).curve("facts").accuracies for run in runs]))
    first = call("demo", "--out", tmp_path / "demo")
    assert first.status == 0
    monkeypatch.setattr(sweep, "measure_cell", lambda *_: pytest.fail("a cell is measured again"))
    monkeypatch.setattr("aurac_adapters.training.trainer.Trainer.train", lambda *_, **__: pytest.fail("trained again"))
    again = call("demo", "--out", tmp_path / "demo")
    assert (again.status, again.out) == (0, first.out)
