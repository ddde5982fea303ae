"""A parser whose mistakes are one line, with the near names, instead of a usage block."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from aurac.errors import UnknownNameError


class OneLineParser(argparse.ArgumentParser):
    """argparse's parser; an error is one `error:` line on standard error, and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Exit with one line: what was wrong, and where the help is."""
        message = message.rstrip(". ")
        self.exit(2, f"error: {message}{'' if message.endswith(('?', '!')) else '.'} See {self.prog} --help.\n")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Return the arguments, or exit naming the first one that is unknown and the option that is near it."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._about(unknown[0]))
        return found

    def _about(self, word: str) -> str:
        if not word.startswith("-") or re.fullmatch(r"-?[\d.]+", word):
            return f"{word!r} is one argument too many"
        options = [option for option in self._option_string_actions if option.startswith("--")]
        return str(UnknownNameError("option", word.partition("=")[0], options)).rstrip(".")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is no choice, with the near ones."""
        if action.choices is not None and value not in action.choices:
            kind = f"value of {'/'.join(action.option_strings) or action.metavar or action.dest}"
            raise argparse.ArgumentError(None, str(UnknownNameError(kind, str(value), map(str, action.choices))))
