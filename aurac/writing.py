"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EACCES, ENOTDIR
from pathlib import Path
from tempfile import mkdtemp
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


def check_can_be_written(folder: Path) -> None:
    """Raise the `OSError` that writing into a folder would raise; the folder need not exist, and is not made."""
    if folder.is_dir():
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(folder))
        return
    if folder.exists():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    first = missing[-1]  # permissions do not say what a file system can do, so something is made beside it
    os.rmdir(mkdtemp(prefix=f".{first.name}-", dir=first.parent))


def write_text(file: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))
