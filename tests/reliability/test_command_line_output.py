"""What goes to standard error is one line without control characters, whatever a file is called."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from records_by_hand import make_cell, write


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\rb", "a\u202eb", "a\x9b31mb"])
def test_an_error_line_is_one_line_whatever_the_folder_is_called(name: str, call: Callable[..., Any]) -> None:
    done = call("score", Path("no") / name, "--tasks", "facts")
    assert done.status == 1
    assert done.error.isprintable()


def test_a_warning_is_one_line_without_its_source(call: Callable[..., Any]) -> None:
    call("score", "nowhere", "--tasks", "facts")
    line = warnings.formatwarning(UserWarning("two\nlines"), UserWarning, "file.py", 3)
    assert line == "warning: two lines\n"


def test_colours_of_a_library_leave_nothing_behind(call: Callable[..., Any]) -> None:
    call("score", "nowhere", "--tasks", "facts")
    line = warnings.formatwarning(UserWarning("a \x1b[1;31mred\x1b[0m word"), UserWarning, "file.py", 3)
    assert line == "warning: a red word\n"


def aurac(shell: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell; `$@` is the command."""
    command = ["bash", "-c", shell, "bash", sys.executable, "-m", "aurac", *map(str, arguments)]
    paths = {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **paths, **environment})


@pytest.mark.parametrize(
    "shell",
    [
        *('"$@" >&-', '"$@" | head -1 >/dev/null'),
        *(pytest.param(shell, marks=pytest.mark.slow) for shell in ('"$@" >&- 2>&-', '"$@" | true')),
    ],
)
def test_output_that_nobody_reads_is_no_traceback(shell: str, tmp_path: Path) -> None:
    for run in ("one", "two"):
        write(tmp_path / run, [make_cell("t", rank, [rank % 2, 1, 0, 1]) for rank in (1, 2)])
    done = aurac(shell, "compare", tmp_path / "one", tmp_path / "two")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


def test_python_without_docstrings_has_a_help(tmp_path: Path) -> None:
    done = aurac('"$@"', "--help", PYTHONOPTIMIZE="2", LC_ALL="C")
    assert (done.returncode, "None" in done.stdout) == (0, False)
    assert "compare" in done.stdout
    write(tmp_path / "run", [make_cell("t", rank, [rank % 2, 1, 0, 1]) for rank in (1, 2)])
    assert aurac('"$@"', "compare", tmp_path / "run", PYTHONOPTIMIZE="2", LC_ALL="C").returncode == 0
