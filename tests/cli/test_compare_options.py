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


def test_runs_of_one_method_are_one_row_by_the_records_or_by_name(call: Call, scored: dict[str, Path]) -> None:
    by_name = call("compare", f"mine={scored['one']},{scored['two']}", "--format", "json")
    assert by_name.status == 0
    assert '"n_seeds": 2' in by_name.out
    assert '"target": "docs+seeds"' in by_name.out


def test_names_are_given_to_all_rows_or_to_none(call: Call, scored: dict[str, Path]) -> None:
    mixed = call("compare", f"a={scored['one']}", scored["two"])
    assert (mixed.status, mixed.out) == (1, "")
    assert "has no name, others have. Give every row as NAME=RUN,RUN, or none." in mixed.error
    twice = call("compare", f"a={scored['one']}", f"a={scored['two']}")
    assert "a name was given twice. Give all runs of a method at once" in twice.error


def test_by_method_says_which_method_has_too_few_seeds(call: Call, scored: dict[str, Path]) -> None:
    done = call("compare", scored["one"], "--by", "method")
    assert (done.status, done.out) == (1, "")
    assert "one training seed, which shows no spread between seeds" in done.error
