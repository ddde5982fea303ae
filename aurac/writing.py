"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(file: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a temporary file beside `file`, then put it in its place; nothing is left where that fails."""
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        write(temporary)
        os.replace(temporary, file)
    except OSError as exc:
        if exc.errno is not None and exc.filename is None:  # a full disk does not say which file it has no room for
            exc.filename = str(file)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))
