"""Options are fields of dataclasses: what text and TOML may stand for, and what the help says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from aurac.errors import OptionError, UnknownNameError
from aurac.fields import check_fields, options_of


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that a dataclass of options can hold.

    Attributes:
        name: A name. Whatever else is to be said about it stands in a second sentence.
        rate: A rate, which goes on in a
            second line.
    """

    name: str
    rate: float = 0.5
    count: int = 3
    size: int | Literal["auto"] | None = field(default=None, metadata={"minimum": 1})
    on: bool = False
    template: bool | str = False
    kind: Literal["a", "b"] = "a"
    ranks: Sequence[int] | None = None
    weights: tuple[float, ...] = ()
    targets: tuple[str, ...] = ()
    out: Path | None = None
    callback: dict[str, int] | None = None
    internal: int = field(default=0, metadata={"option": False})

    def __post_init__(self) -> None:
        check_fields(self)


OPTIONS = options_of(Options)


def test_every_field_that_text_can_hold_is_an_option() -> None:
    assert set(Options.__dataclass_fields__) - set(OPTIONS) == {"callback", "internal"}
    assert (OPTIONS["name"].default, OPTIONS["rate"].default) == (MISSING, 0.5)
    assert OPTIONS["kind"].choices == ("a", "b")


def test_the_help_is_the_first_sentence_of_the_docstring() -> None:
    assert OPTIONS["name"].help == "A name"
    assert OPTIONS["rate"].help == "A rate, which goes on in a second line"
    assert OPTIONS["count"].help == ""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "1", 1.0),
        ("count", "7", 7),
        ("size", "auto", "auto"),
        ("size", "8", 8),
        ("on", "true", True),
        ("template", "tool_use", "tool_use"),
        ("ranks", "1,2,4", (1, 2, 4)),
        ("weights", "0.5,1", (0.5, 1.0)),
        ("targets", "q_proj,v_proj", ("q_proj", "v_proj")),
        ("targets", "", ()),
        ("out", "runs/mine", Path("runs/mine")),
    ],
)
def test_a_text_is_read_as_the_type_says(name: str, text: str, value: object) -> None:
    assert OPTIONS[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rate", "fast", "'fast' is no number"),
        ("rate", "nan", "'nan' is no number"),
        ("count", "0.5", "'0.5' is no whole number"),
        ("size", "0", "'0' is neither a number from 1 nor auto"),
        ("on", "yes", "'yes' is neither true nor false"),
        ("kind", "c", "'c' is none of a, b"),
        ("ranks", "1,,2", "'1,,2' is no list of ranks such as 1,2,4"),
        ("weights", "x", "'x' is no list of numbers such as 0.5,1"),
    ],
)
def test_a_text_of_another_type_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        OPTIONS[name].read(text)


def test_a_dataclass_holds_tuples_floats_and_paths_whatever_it_was_given() -> None:
    made = Options(name="x", rate=1, ranks=[1, 2], out="runs")  # type: ignore[arg-type]
    assert (made.rate, type(made.rate), made.ranks, made.out) == (1.0, float, (1, 2), Path("runs"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": 3}, "name: 3 is no text"),
        ({"rate": "fast"}, "rate: 'fast' is no number"),
        ({"rate": True}, "rate: True is no number"),
        ({"rate": None}, "rate: None is no number"),
        ({"count": 0.5}, "count: 0.5 is no whole number"),
        ({"count": True}, "count: True is no whole number"),
        ({"ranks": "1,2"}, "ranks: '1,2' is no list of ranks such as 1,2,4"),
        ({"ranks": [1, "2"]}, r"ranks: \[1, '2'\] is no list of ranks"),
        ({"on": 1}, "on: 1 is neither true nor false"),
        ({"template": 2}, "template: 2 is neither true, false nor a text"),
    ],
)
def test_a_value_of_another_type_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Options(**{"name": "x", **values})  # type: ignore[arg-type]


def test_a_value_that_is_none_of_the_choices_is_answered_with_them() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown kind 'c'. Known: a, b."):
        Options(name="x", kind="c")  # type: ignore[arg-type]
