"""`aurac plot`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac.report.plots.kinds import KINDS

Call = Callable[..., Any]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_all_files_and_prints_their_names(
    kind: str, call: Call, scored: dict[str, Path], tmp_path: Path
) -> None:
    files = [tmp_path / "plots" / f"{kind}.png", tmp_path / "plots" / f"{kind}.pdf"]
    done = call("plot", kind, scored["one"], scored["two"], "--out", files[0], "--out", files[1])
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [str(file) for file in files]
    assert all(file.stat().st_size > 1000 for file in files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("curves", "--out", "x.gif"), "its ending is '.gif'"),
        (("curves", "--out", "x.png", "--base", "tilt"), "--base 'tilt' is not TASK=POINTS"),
        (("curves", "--out", "x.png", "--tasks", "tild"), "Did you mean 'tilt'"),
        (("places", "--out", "x.png"), "a plot of kind places needs at least 2 runs or methods"),
        (("pareto", "--out", "x.png", "--baseline", "one"), "--baseline is for difference, not for pareto"),
    ],
)
def test_mistakes_are_one_error_line_and_leave_no_file(
    options: tuple[str, ...], message: str, call: Call, scored: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = call("plot", options[0], scored["one"], *options[1:])
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert not list(tmp_path.iterdir())
