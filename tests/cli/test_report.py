"""`aurac report`: records on disk, grouped, become pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac.analysis.collection import collect

Call = Callable[..., Any]


@pytest.fixture
def results(scored: dict[str, Path], tmp_path: Path) -> Path:
    """Two runs of one suite, the second inside its adapter's folder, and the first again under another base model."""
    root = tmp_path / "results"
    shutil.copytree(scored["one"], root / "demo" / "one")
    shutil.copytree(scored["two"], root / "demo" / "two" / "aurac-run")
    shutil.copytree(scored["one"], root / "demo" / "other")
    edit(root / "demo" / "other", lambda run: run["identity"]["base"].update(sha256="another"))
    return root


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    run = json.loads((folder / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))


def test_runs_are_grouped_by_folder_base_model_and_measurement(results: Path) -> None:
    found = {suite.name: [run.name for run in suite.runs] for suite in collect(results)}
    assert found == {"demo (1)": ["one", "two"], "demo (2)": ["other"]}


def test_records_of_another_protocol_are_another_group(scored: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(scored[name], tmp_path / "demo" / name)
    edit(tmp_path / "demo" / "two", lambda run: run["tasks"]["tilt"].update(num_fewshot=7))
    assert [[run.name for run in suite.runs] for suite in collect(tmp_path)] == [["one"], ["two"]]


def test_a_run_whose_cell_failed_stays_in_its_group_but_is_not_ranked(results: Path) -> None:
    edit(results / "demo" / "two" / "aurac-run", lambda run: run["cells"][-1].update(status="failed", error="NaN"))
    suite = collect(results)[0]
    assert ([run.name for run in suite.runs], [run.name for run in suite.incomplete]) == (["one"], ["two"])


def test_a_record_may_be_the_folder_itself(scored: dict[str, Path]) -> None:
    (suite,) = collect(scored["one"])
    assert suite.name == "one"


def test_the_page_is_written_into_the_folder(call: Call, results: Path) -> None:
    done = call("report", results)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{results / 'LEADERBOARD.md'}\n"
    text = (results / "LEADERBOARD.md").read_text()
    assert "## demo (1)" in text
    assert "Paired difference to one" in text
    first = text
    assert call("report", results).status == 0
    assert (results / "LEADERBOARD.md").read_text() == first


def test_pages_are_written_where_asked(call: Call, results: Path, tmp_path: Path) -> None:
    page = tmp_path / "site" / "leaderboard.html"
    done = call("report", results, "--out", page, "--baseline", "two")
    assert done.status == 0
    assert "Paired difference to two" in page.read_text()
    assert not (results / "LEADERBOARD.md").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "x.txt"), "unknown kind of page '.txt'"),
        (("--baseline", "lroa"), "unknown baseline 'lroa'. Did you mean 'lora'"),
    ],
)
def test_mistakes_are_one_error_line(options: tuple[str, ...], message: str, call: Call, results: Path) -> None:
    done = call("report", results, *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_a_folder_without_records_is_one_error_line(call: Call, tmp_path: Path) -> None:
    assert "holds no run record (run.json)" in call("report", tmp_path).error
    assert "no such folder" in call("report", tmp_path / "nothing").error
