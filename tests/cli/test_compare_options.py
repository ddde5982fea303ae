"""`aurac compare --prose` and `--allow`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_prose_is_the_methods_paragraph_and_no_table(call: Call, scored: dict[str, Path]) -> None:
    done = call("compare", scored["one"], scored["two"], "--prose")
    assert done.status == 0
    assert done.out.startswith("We evaluated one and two at the sub-ranks 1, 2 and 4 on facts")
    assert "References" in done.out
    assert "─" not in done.out


def test_a_key_that_is_none_cannot_be_allowed(call: Call, scored: dict[str, Path]) -> None:
    done = call("compare", scored["one"], scored["two"], "--allow", "shot")
    assert (done.status, done.out) == (1, "")
    assert "Did you mean 'shots'" in done.error


def test_allowing_keys_that_do_not_differ_changes_nothing(call: Call, scored: dict[str, Path]) -> None:
    with_key = call("compare", scored["one"], scored["two"], "--allow", "shots,task")
    assert with_key.out == call("compare", scored["one"], scored["two"]).out
