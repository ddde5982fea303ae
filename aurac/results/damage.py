"""Damage in a record: what it hit, and how the damaged file is kept when a sweep repairs the record."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aurac.errors import RecordError

SET_ASIDE = "damaged"
"""Folder inside the record for what could not be read."""


@dataclass(frozen=True)
class Damage:
    """A file of a record, or a part of it, that cannot be read.

    Attributes:
        file: The file.
        reason: What is wrong with it.
        cells: Which cells it concerns: "cell (t, rank 1)"; empty where that cannot be told.
    """

    file: Path
    reason: str
    cells: str = ""

    def __str__(self) -> str:
        """Name file, cells and reason, in this order."""
        where = f" at {self.cells}" if self.cells else ""
        return f"{self.file} is damaged{where}: {self.reason.rstrip('.')}"


def refuse(damage: Iterable[Damage]) -> None:
    """Raise `RecordError` for the first damage, if there is any."""
    found = list(damage)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RecordError(
            f"{found[0]}{more}. The same `aurac score` sets what is damaged aside and measures only that again."
        )


def set_aside(file: Path, folder: Path) -> Path:
    """Copy a damaged file into `damaged/` of the record under a free name; the file itself stays for now.

    A copy, because what can still be read replaces the file in one step afterwards: killed in between, nothing is lost.
    """
    (folder / SET_ASIDE).mkdir(exist_ok=True)
    number, place = 1, folder / SET_ASIDE / file.name
    while place.exists():
        number += 1
        place = folder / SET_ASIDE / f"{file.stem}-{number}{file.suffix}"
    shutil.copyfile(file, place)
    return place
