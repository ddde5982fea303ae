"""`aurac power`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_documents_have_a_minimal_effect_for_three_typical_spreads(call: Call) -> None:
    done = call("power", "--documents", "1172")
    assert (done.status, done.err) == (0, "")
    for text in ("1.64", "2.46", "2.95"):  # 280 * sd / sqrt(1172), in points
        assert text in done.out


def test_numbers_are_given_in_points(call: Call) -> None:
    (plan,) = json.loads(call("power", "--effect", "1", "--sd", "30", "--format", "json").out)["plans"]
    assert plan["needed"] == 7066


def test_two_runs_show_their_own_spread(call: Call, scored: dict[str, Path]) -> None:
    done = call("power", scored["one"], scored["two"], "--effect", "5")
    assert done.status == 0
    assert "Spreads: one minus two, as scored." in done.out
    assert [line.split()[0] for line in done.out.splitlines() if line.startswith(("facts", "tilt"))] == [
        "facts",
        "tilt",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to plan"),
        (("--effect", "1", "--seed-sd", "1"), "--seed-sd needs n_seeds"),
        (("--documents", "1"), "1 documents show no spread"),
        (("one",), "Give exactly two runs"),
    ],
)
def test_mistakes_are_one_error_line(options: tuple[str, ...], message: str, call: Call) -> None:
    done = call("power", *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error


@pytest.mark.parametrize(
    "options",
    [
        ("--documents", "300,1172"),
        pytest.param(("--effect", "2", "--seeds", "3", "--seed-sd", ".4"), marks=pytest.mark.slow),
    ],
)
def test_the_power_curves_are_drawn_when_asked_for(options: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    file = tmp_path / "power.png"
    done = call("power", *options, "--plot", file)
    assert done.status == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_printed(call: Call) -> None:
    done = call("power", "--documents", "300", "--plot", "power.gif")
    assert (done.status, done.out) == (1, "")
    assert "its ending is '.gif'" in done.error
