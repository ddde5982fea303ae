"""The help texts, whole, and their examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from aurac.cli import COMMANDS, main, parse_args
from golden_files import assert_golden

HEAVY = ("torch", "transformers", "peft", "lm_eval", "pandas", "matplotlib", "datasets", "pyarrow", "scipy")


def help_text(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse of Python 3.13 breaks usage lines elsewhere")
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_looks_like_its_golden_file(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = help_text(capsys, *([command] if command else []))
    assert_golden(f"help{'-' * bool(command)}{command}.txt", text, room="cli")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_no_wider_than_the_terminal(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in help_text(capsys, *([command] if command else [])).splitlines() if len(line) > 80] == []


def test_no_golden_file_is_left_of_a_command_that_is_gone() -> None:
    written = {path.name for path in (Path(__file__).parent / "golden").iterdir()}
    assert written == {"help.txt"} | {f"help-{name}.txt" for name in COMMANDS}


def python(*code: str) -> list[str]:
    """Return the words that a fresh Python prints last."""
    done = subprocess.run([sys.executable, "-c", *code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_waits_for_no_heavy_library(command: str) -> None:
    code = f"""
import sys
from aurac.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    assert python(code, *([command] if command else []), "--help") == ["loaded:"]


def test_help_of_all_commands_imports_none_of_them() -> None:
    code = """
import sys
from aurac.cli import COMMANDS, main
try:
    main(["--help"])
finally:
    print("loaded:", *[name for name in ("numpy", *COMMANDS.values()) if name in sys.modules])
"""
    assert python(code) == ["loaded:"]


@pytest.mark.slow  # wall time, which means something on a quiet machine only
def test_help_is_there_as_soon_as_numpy_would_be() -> None:
    # The fastest of three, since other processes slow a start down and none speeds it up.
    code = """
import subprocess, sys, time
def wall(*arguments):
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin
print(min(wall("-m", "aurac", "--help") for _ in range(3)) - min(wall("-c", "import numpy") for _ in range(3)))
"""
    (seconds_more,) = python(code)
    assert float(seconds_more) <= 0.3


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_example_in_the_help_is_a_command_line_that_can_be_read(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_text(capsys, *([command] if command else []))
    text = re.sub(r" \\\n +", " ", text)  # folded as a shell reads it
    examples = [line.split(" > ")[0] for line in text.splitlines() if line.startswith("  aurac ")]
    assert examples
    for example in examples:
        assert parse_args(shlex.split(example)[1:])


def test_a_command_that_does_not_exist_is_one_line_with_the_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["scroe", "adapter", "--help"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unknown command 'scroe'. Did you mean 'score'")
    assert line.endswith(f"Known: {', '.join(sorted(COMMANDS))}. See aurac --help.")


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"aurac {metadata.version('aurac')}\n"


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
