"""A parser whose mistakes are one line, with the near names, instead of a usage block."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Any, NoReturn

from aurac.errors import UnknownNameError

ELSEWHERE = {
    "--base": "--model",
    "--base-model": "--model",
    "--model-name-or-path": "--model",
    "--pretrained": "--model",
    "--dataset": "--data",
    "--lr": "--learning-rate",
    "--r": "--rank",
    "--max-rank": "--rank",
    "--lora-r": "--rank",
    "--steps": "--max-steps",
    "--output-dir": "--out",
    "--output": "--out",
    "--num-train-epochs": "--epochs",
    "--task": "--tasks",
    "--rank": "--ranks",
}
"""What other programs, and our other commands, call an option -> what this command may call it."""


class FoldedHelp(argparse.RawDescriptionHelpFormatter):
    """Help whose paragraphs and examples are folded to the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Fold each run of lines that are not indented."""
        parts = []
        for is_raw, lines in groupby(text.splitlines(), key=lambda line: not line or line.startswith(" ")):
            found = list(lines)
            if is_raw:
                parts += [part for line in found for part in _fold_command(line, width)]
            else:
                parts += textwrap.wrap(" ".join(found), width, break_on_hyphens=False)
        return "\n".join(f"{indent}{line}" if line else line for line in parts)


def _fold_command(line: str, width: int) -> list[str]:
    """Fold an example as a shell reads it: a backslash at the end of a line, quoted texts whole."""
    if len(line) <= width:
        return [line]
    whole = re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace(" ", "\0"), line)
    indent = " " * (len(line) - len(line.lstrip()))
    parts = textwrap.wrap(
        whole, width - 2, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )
    return [part.replace("\0", " ") for part in [*(f"{part} \\" for part in parts[:-1]), parts[-1]]]


class OneLineParser(argparse.ArgumentParser):
    """argparse's parser; an error is one `error:` line on standard error, and exit status 2.

    Attributes:
        options_first: Whether what follows the first other word belongs to another parser.
    """

    options_first = False

    def error(self, message: str) -> NoReturn:
        """Exit with one line: what was wrong, and where the help is."""
        message = re.sub(r"invalid (int|float) value: (.*)", _no_number, message.rstrip(". "))
        self.exit(2, f"error: {message}{'' if message.endswith(('?', '!')) else '.'} See {self.prog} --help.\n")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Return the arguments, or exit naming the first one that is unknown and the option that is near it."""
        for word in takewhile(self._is_own, sys.argv[1:] if args is None else args):
            if word.startswith("--") and not self._get_option_tuples(word):
                self.error(self._about(word))  # before argparse finds that something is missing
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._about(unknown[0]))
        return found

    def _is_own(self, word: str) -> bool:
        return word != "--" and (word.startswith("-") or not self.options_first)

    def _about(self, word: str) -> str:
        if not word.startswith("-") or re.fullmatch(r"-?[\d.]+", word):
            return f"{word!r} is one argument too many"
        options = [option for option in self._option_string_actions if option.startswith("--")]
        name = word.partition("=")[0]
        if (meant := ELSEWHERE.get(name)) in options:
            return f"unknown option {name!r}. Did you mean {meant!r}?"
        return str(UnknownNameError("option", name, options)).rstrip(".")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is no choice, with the near ones."""
        if action.choices is not None and value not in action.choices:
            kind = f"value of {'/'.join(action.option_strings) or action.metavar or action.dest}"
            raise argparse.ArgumentError(None, str(UnknownNameError(kind, str(value), map(str, action.choices))))


def _no_number(found: re.Match[str]) -> str:
    """Say what argparse says of int and float in words."""
    return f"{found[2]} is no {'whole ' if found[1] == 'int' else ''}number"
