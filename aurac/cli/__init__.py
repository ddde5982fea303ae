"""The command line: one file per subcommand, listed in `commands.py`.

Results go to standard output, progress and warnings to standard error. Exit status: 0 done, 1 the user's mistake in one
`error:` line, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aurac.cli.commands import COMMANDS, parse_args
from aurac.cli.spelling import spelled
from aurac.errors import AuracError
from aurac.home import unwritable_home

__all__ = ["COMMANDS", "main", "parse_args"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "5")  # a log is not a terminal: a line of progress now and then
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks is shown as \\x.. instead
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _one_line  # type: ignore[assignment]
    # PEFT 0.21 asks transformers 5.24 by an old name; users cannot act on it.
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
    args = parse_args(argv)
    try:
        return int(args.run(args))
    except AuracError as error:
        return _fail(unwritable_home(error) or error.in_points or spelled(str(error), args.flags))
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        if said := unwritable_home(error):
            return _fail(said)
        if isinstance(error, (NotADirectoryError, FileExistsError)) and (file := _file_above(error.filename)):
            return _fail(f"{file} is a file, so nothing can lie below it. Give another path.")
        return _fail(f"{error.strerror}: {_meant(error.filename)}" if error.filename else str(error))


def _open_closed_streams() -> None:
    """Let output that nobody can read go nowhere; Python has None for a stream that was closed (`>&-`)."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _file_above(name: Any) -> Path | None:
    """Return the file that a path goes through as if it were a folder, if there is one."""
    path = Path(os.fsdecode(name))
    return next((part for part in (path, *path.parents) if part.is_file()), None)


def _meant(name: Any) -> Path:
    """Return the path that the user knows: what is written lies beside it under another name until it is whole."""
    path = Path(os.fsdecode(name))
    unfinished = re.fullmatch(r"\.(.+)(?:\.tmp|-[a-z0-9_]{8})", path.name)
    if unfinished:
        return path.with_name(unfinished[1])
    return path.parent if re.fullmatch(r"tmp[a-z0-9_]{8}", path.name) else path


def _fail(message: str) -> int:
    print("error: " + _clean(message), file=sys.stderr)
    return 1


def _one_line(message: Warning | str, category: type[Warning], *_: object) -> str:
    """Format a warning without the line of source that raised it."""
    kind = "warning" if issubclass(category, UserWarning) else category.__name__
    return f"{kind}: {_clean(str(message))}\n"


def _clean(message: str) -> str:
    """Return one line without control characters: messages quote names from files, which could move the cursor."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)  # colours of libraries, of which the letters would be left
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", " ", message).split())
