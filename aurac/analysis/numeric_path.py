"""How the numbers of a run came about, read from its record: engine, dtype, merged or not, and who answered a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from aurac.results import Run
from aurac.results.cells import DONE, PART

Way = Literal["shared", "alone", "hflm"]
SHARED: Final = "shared"
ALONE: Final = "alone"
HFLM: Final = "hflm"


@dataclass(frozen=True)
class Answered:
    """How the engine answered a task at one rank or at several.

    Attributes:
        way: "shared" (prefixes forwarded once), "alone" (each input on its own) or "hflm" (HFLM's own code).
        partly: Whether that holds for some of the requests, the others being shared.
        reason: Why not "shared"; None if it is.
        rows: Requests that HFLM's own code answered at a time, where the record says so.
        texts: Whether texts were generated, which depend on HFLM's padding.
    """

    way: Way
    partly: bool = False
    reason: str | None = None
    rows: int | None = None
    texts: bool = False

    @property
    def kind(self) -> tuple[Way, bool, int | None]:
        """What makes the numbers; the reason does not, nor the batch size where nothing is generated."""
        return self.way, self.partly, self.rows if self.texts else None


@dataclass(frozen=True)
class NumericPath:
    """What stands in a run's record; None and no entry where it does not, as in imported records.

    Attributes:
        engine: Who answered, a name in `aurac.harness.ENGINES`.
        software: Program and version behind an engine that is none of this process's libraries, such as a server.
        dtype: Of the weights.
        merged: Whether ranks were merged into the base weights, in the call that measured last.
        tasks: Name as asked -> how it was answered; several entries where ranks or members of a group differ.
    """

    engine: str | None
    software: str | None
    dtype: str | None
    merged: bool | None
    tasks: Mapping[str, tuple[Answered, ...]]


def numeric_path(run: Run) -> NumericPath:
    """Read the numeric path of a run; of an imported one nothing is known.

    Example:
        >>> numeric_path(Run("a", None, {"identity": {"dtype": "bfloat16"}, "merged": True}, {}))
        NumericPath(engine=None, software=None, dtype='bfloat16', merged=True, tasks={})
    """
    record = run.record
    if "imported" in record:
        return NumericPath(None, None, None, None, {})
    identity = record.get("identity", {})
    tasks = {name: found for name in run.tasks if (found := tuple(dict.fromkeys(_answered(record, name))))}
    software = record.get("engine", {}).get("software")
    return NumericPath(identity.get("engine"), software, identity.get("dtype"), record.get("merged"), tasks)


def measured_cells(record: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the measured cells of a task, or of the members of a group, that say how they were answered."""
    asked = record.get("asked", {}).get(name, {}).get("task", name)
    leaves = record.get("groups", {}).get(asked, {}).get("members", [asked])
    for cell in record.get("cells", ()):
        if cell.get("task") in leaves and cell.get("status") in (DONE, PART) and "fallback" in (cell.get("work") or {}):
            yield cell


def _answered(record: Mapping[str, Any], name: str) -> Iterator[Answered]:
    for cell in measured_cells(record, name):
        about = record.get("tasks", {}).get(cell["task"], {})
        yield _of_cell(cell["work"], texts=about.get("output_type") == "generate_until")


def _of_cell(work: Mapping[str, Any], *, texts: bool) -> Answered:
    if work["fallback"] is None:
        return Answered(SHARED)
    partly = 0 < work.get("fallback_requests", 0) < work.get("requests", 0)
    rows = work.get("fallback_rows")
    if rows is None and "fallback" not in work.get("seconds", {}):
        return Answered(ALONE, partly, work["fallback"])
    return Answered(HFLM, partly, work["fallback"], rows, texts)
