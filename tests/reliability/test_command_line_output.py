"""What goes to standard error is one line without control characters, whatever a file is called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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
