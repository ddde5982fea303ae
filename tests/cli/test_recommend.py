"""`aurac recommend`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aurac

Call = Callable[..., Any]


def test_it_prints_rank_evidence_and_parameters(call: Call, scored: dict[str, Path]) -> None:
    done = call("recommend", scored["one"], "--margin", "99")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("one: recommended rank 1 of 4 (margin 99.00 points)")
    for text in ("facts: evidence from full rank down", "macro: evidence", "every task", "parameters"):
        assert text in done.out


def test_json_is_what_the_library_returns(call: Call, scored: dict[str, Path]) -> None:
    content = json.loads(call("recommend", scored["one"], "--tasks", "tilt", "--format", "json").out)
    made = aurac.smallest_rank(scored["one"], margin=0.01, task="tilt")
    assert content["rank"] == content["tasks"]["tilt"]["rank"] == made.rank
    assert [e["loss"] for e in content["tasks"]["tilt"]["evidence"]] == [e.loss for e in made.evidence]
    assert content["parameters"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tasks", "tild"), "Did you mean 'tilt'"),
    ],
)
def test_mistakes_are_one_error_line(
    options: tuple[str, ...], message: str, call: Call, scored: dict[str, Path]
) -> None:
    done = call("recommend", scored["one"], *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_a_level_that_is_none_is_a_usage_error(call: Call, scored: dict[str, Path]) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("recommend", scored["one"], "--alpha", "5")
    assert stopped.value.code == 2


def test_the_readme_shows_what_is_printed(call: Call) -> None:
    root = Path(__file__).parents[2]
    done = call("recommend", root / "results" / "testbed" / "svd-lora", "--margin", "5")
    shown = (
        (root / "README.md").read_text(encoding="utf-8").split("--margin 5` begins with\n\n```\n")[1].split("```")[0]
    )
    assert done.out.startswith(shown)
