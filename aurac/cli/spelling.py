"""Messages in the spelling of the command line: `--scale percent` where the library says `scale='percent'`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from functools import partial


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return name in the program -> flag, of every option of a command that is called alike."""
    flags = (option for action in parser._actions for option in action.option_strings if option.startswith("--"))
    return {flag.removeprefix("--").replace("-", "_"): flag for flag in flags}


def spelled(message: str, flags: Mapping[str, str]) -> str:
    """Return the message with the names of options as flags.

    A name is replaced where it cannot be an ordinary word: before "=", or with an underscore in it. A message that
    names the flag already speaks to both doors and is left as it is.

    Example:
        >>> spelled("max_rank 0 is out of range; say scale='percent'.", {"max_rank": "--rank", "scale": "--scale"})
        '--rank 0 is out of range; say --scale percent.'
    """
    for name, flag in flags.items():
        if flag in message:
            continue
        message = re.sub(rf"(?<![\w'\"`./=-]){name}=(?:'([^']*)'|([\w.]+\w|\w))?", partial(_with_value, flag), message)
        if "_" in name:
            message = re.sub(rf"(?<![\w'\"`./=-]){name}(?![\w'\"`./=(-])", flag, message)
    return message


def _with_value(flag: str, found: re.Match[str]) -> str:
    """Return what stands for `name=value`: the flag, and the value where one is named."""
    value = found[1] or found[2]
    return f"{flag} {value}" if value else flag
