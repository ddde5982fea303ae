"""The help texts, whole, and their examples."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from aurac.cli import COMMANDS, build_parser, main

GOLDEN = Path(__file__).parent / "golden"


def help_text(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_looks_like_its_golden_file(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = help_text(capsys, *([command] if command else []))
    assert text == (GOLDEN / f"help{'-' * bool(command)}{command}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_example_in_the_help_is_a_command_line_that_can_be_read(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_text(capsys, *([command] if command else []))
    examples = [line.split(" > ")[0] for line in text.splitlines() if line.startswith("  aurac ")]
    assert examples
    for example in examples:
        assert build_parser().parse_args(shlex.split(example)[1:])


def test_a_command_that_does_not_exist_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["scroe"])
    assert stopped.value.code == 2
    assert "invalid choice: 'scroe'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ranks", "1,b"), "'1,b' is no list of ranks such as 1,2,4"),
        (("--batch-size", "0"), "'0' is neither a number from 1 nor auto"),
        (("--confidence-level", "95"), "95 is not between 0 and 1"),
        (("--confidence-level", "x"), "x is not between 0 and 1, both excluded; for example 0.95"),
    ],
)
def test_a_value_that_cannot_be_read_is_a_usage_error(
    options: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score", "adapter", "--tasks", "arc", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_numbers_of_documents_are_not_called_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["power", "--documents", "1e9"])
    assert "'1e9' is no list of numbers of documents such as 1172,10042" in capsys.readouterr().err


def test_a_path_below_a_file_is_one_line_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for below in (file / "out", file / "a" / "b"):
        monkeypatch.setattr("aurac.analysis.compute.compute", lambda *_, below=below, **__: below.mkdir(parents=True))
        assert main(["compute", "curve.csv"]) == 1
        assert capsys.readouterr().err == f"error: {file} is a file, so nothing can lie below it. Give another path.\n"
