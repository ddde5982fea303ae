"""HOME, where libraries keep downloads and prepared data: whether an error comes from its being unwritable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import EACCES, ENOENT, ENOTDIR, EPERM, EROFS
from pathlib import Path
from tempfile import TemporaryFile

_VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "XDG_CACHE_HOME")
_NO_ACCESS = {EACCES, EPERM, EROFS, ENOENT, ENOTDIR}


def unwritable_home(error: BaseException) -> str | None:
    """Return one sentence if an error was caused by a HOME (or a folder named instead of it) that cannot be written.

    Args:
        error: Any error; those that it was raised from are looked at too.
    """
    for cause in _causes(error):
        if not isinstance(cause, OSError) or cause.errno not in _NO_ACCESS or cause.filename is None:
            continue
        place = Path(os.fsdecode(cause.filename))
        for variable, folder, given in _folders():
            if (place == folder or folder in place.parents or place in folder.parents) and not _can_be_written(folder):
                return (
                    f"{variable} is {given}, where nothing can be written ({cause.strerror}: {place}), and libraries "
                    "keep downloads and prepared data there. Set HOME, or HF_HOME, to a folder that can be written."
                )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _folders() -> Iterator[tuple[str, Path, str]]:
    """Yield variable, folder, and what the variable says; the cache in HOME where no variable says another."""
    for variable in _VARIABLES:
        if given := os.environ.get(variable):
            yield variable, Path(given).expanduser(), given
    home = os.environ.get("HOME", "")
    yield "HOME", Path(home or "~").expanduser() / ".cache", home or "not set"


def _can_be_written(folder: Path) -> bool:
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    try:
        with TemporaryFile(dir=existing):
            return True
    except OSError:
        return False
