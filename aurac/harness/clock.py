"""What the calls that made a record spent outside its cells, as the record's `timings` say it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aurac.harness.memory import peak_memory_bytes


class Clock:
    """The times of one call, added to those of earlier calls into the same record.

    Args:
        built: What building the suite took: "tasks" and "requests".
        began: `time.perf_counter()` when the call began; by default when the suite was begun to be built.
        earlier: `timings` of the record so far.
        processes: How many share the work.
    """

    def __init__(
        self, built: Mapping[str, float], *, began: float | None, earlier: Mapping[str, Any] | None, processes: int
    ) -> None:
        """Begin to open the model."""
        self._opening = time.perf_counter()
        self._began = self._opening - sum(built.values()) if began is None else began
        self._seconds = {f"{name}_seconds": seconds for name, seconds in built.items()}
        self._seconds["startup_seconds"] = self._opening - self._began - sum(built.values())
        self._earlier, self._processes, self._device = earlier or {}, processes, None

    def opened(self, device: Any) -> None:
        """The model is there; `device` is where, None where that is elsewhere."""
        self._seconds["model_seconds"] = time.perf_counter() - self._opening
        self._device = device

    def timings(self) -> dict[str, Any]:
        """Return what the record says; `total_seconds` are those until now."""
        seconds = self._seconds | {"total_seconds": time.perf_counter() - self._began}
        peaks = [self._earlier.get("peak_memory_bytes"), peak_memory_bytes(self._device)]
        return {name: self._earlier.get(name, 0.0) + spent for name, spent in seconds.items()} | {
            "processes": self._processes,
            "peak_memory_bytes": max((peak for peak in peaks if peak is not None), default=None),
        }
