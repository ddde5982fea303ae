"""Where the time of a scoring went, read from its record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

# Times outside the cells, in the record's `timings`; then those of a cell, in its `work`.
_OUTSIDE = {
    "startup_seconds": "starting up",
    "tasks_seconds": "building tasks",
    "requests_seconds": "building requests",
    "model_seconds": "waiting for the model",
}
_PHASES = {"plan": "planning", "trial": "trying out the model", "fallback": "lm-eval's own model code"}
_COMPUTE = {"forward": "forward", "projection": "projection", "softmax": "softmax"}
RANKS, WAITING, ANSWERING = "setting ranks", "waiting for the engine", "answering"
PYTHON, BETWEEN = "Python and the rest", "between cells"


@dataclass(frozen=True)
class TimeSpent:
    """Seconds of wall-clock time, and what was done in them.

    Attributes:
        seconds: What the time was spent on -> seconds, in the order in which it happens. Their sum is the wall-clock
            time of all calls that measured something for the record. "Python and the rest" is what else happened
            while cells were answered: masks, judging, and with several processes waiting for each other, whose counts
            are means over them. "between cells" is writing the record, and cells that were broken off.
        cells: Measured cells that the record has.
        answering: Seconds of these cells.
        tokens: Token positions that were forwarded for them, padding included; None where nobody counted them.
        peak_memory_bytes: Most memory in use; None where it is not known.
    """

    seconds: Mapping[str, float]
    cells: int
    answering: float
    tokens: int | None
    peak_memory_bytes: int | None

    @property
    def tokens_per_second(self) -> float | None:
        """Token positions forwarded per second of answering; None where nobody counted them."""
        return self.tokens / self.answering if self.tokens and self.answering else None

    def and_(self, word: str, since: float) -> TimeSpent:
        """Return these times and those since `time.perf_counter()` was `since`."""
        return replace(self, seconds={**self.seconds, word: time.perf_counter() - since})


def time_spent(record: Mapping[str, Any]) -> TimeSpent:
    """Return where the time went that the calls took which measured what a record has.

    Args:
        record: What `run.json` says, as in `Run.record`.

    Example:
        >>> work = {"seconds": {"plan": 1.0}, "compute_seconds": {"forward": 6.0}, "tokens_forwarded": 80}
        >>> spent = time_spent({"cells": [{"status": "done", "seconds": 8.0, "work": work}]})
        >>> spent.seconds, spent.tokens_per_second
        ({'planning': 1.0, 'forward': 6.0, 'Python and the rest': 1.0}, 10.0)
    """
    timings = record.get("timings") or {}
    cells = [cell for cell in record.get("cells", ()) if cell.get("seconds") is not None]
    works = [cell.get("work") or {} for cell in cells]
    found = {word: timings[name] for name, word in _OUTSIDE.items() if name in timings}
    if any("rank_seconds" in work for work in works):
        found[RANKS] = sum(work.get("rank_seconds", 0.0) for work in works)
    answering = sum(cell["seconds"] for cell in cells)
    inside = _mean([_of_work(work) for work in works], timings.get("processes", 1))
    found |= inside
    found[PYTHON if inside else ANSWERING] = max(0.0, answering - sum(inside.values()))
    if "total_seconds" in timings:
        found[BETWEEN] = max(0.0, timings["total_seconds"] - sum(found.values()))
    tokens = sum(work.get("tokens_forwarded", 0) for work in works)
    return TimeSpent(found, len(cells), answering, tokens or None, timings.get("peak_memory_bytes"))


def _mean(counted: list[dict[str, float]], processes: int) -> dict[str, float]:
    """Return the seconds of all cells by what was done in them, of one process on average."""
    words = (*_PHASES.values(), *_COMPUTE.values(), WAITING)
    return {
        word: sum(seconds.get(word, 0.0) for seconds in counted) / processes
        for word in words
        if any(word in seconds for seconds in counted)
    }


def _of_work(work: Mapping[str, Any]) -> dict[str, float]:
    """Return what an engine counted of a cell's time, without what is inside another part."""
    seconds = work.get("seconds")
    if not isinstance(seconds, Mapping):
        return {} if seconds is None else {WAITING: seconds}
    phases = {word: seconds[name] for name, word in _PHASES.items() if name in seconds}
    computed = work.get("compute_seconds") or {}
    return phases | {word: computed[name] for name, word in _COMPUTE.items() if name in computed}
