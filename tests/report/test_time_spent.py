"""Where the time of a scoring went: parts that add up to the wall-clock time of the calls that measured."""

from __future__ import annotations

import pytest

from aurac.analysis.time_spent import time_spent
from aurac.report.time_spent import time_text

TIMINGS = {
    "startup_seconds": 2.0, "tasks_seconds": 3.0, "requests_seconds": 1.0, "model_seconds": 0.5, "total_seconds": 20.0,
    "processes": 1, "peak_memory_bytes": 2_000_000_000,
}  # fmt: skip
COMPUTED = {"forward": 4.0, "projection": 0.5, "softmax": 0.25}
WORK = {
    "rank_seconds": 0.5, "tokens_forwarded": 3000, "compute_seconds": COMPUTED,
    "seconds": {"plan": 0.25, "document": 4.9},
}  # fmt: skip


def record(*cells: dict[str, object], **timings: object) -> dict[str, object]:
    return {"cells": list(cells), "timings": TIMINGS | timings}


def test_the_parts_add_up_to_the_wall_clock_time() -> None:
    spent = time_spent(record({"seconds": 6.0, "work": WORK}, {"seconds": 4.0, "work": {"rank_seconds": 0.25}}))
    assert sum(spent.seconds.values()) == TIMINGS["total_seconds"]
    assert spent.seconds["Python and the rest"] == 10.0 - (0.25 + 4.0 + 0.5 + 0.25)
    assert spent.seconds["between cells"] == 20.0 - (2.0 + 3.0 + 1.0 + 0.5) - 0.75 - 10.0
    assert (spent.cells, spent.answering, spent.tokens_per_second) == (2, 10.0, 300.0)


def test_what_several_processes_counted_is_their_mean() -> None:
    one, two = (time_spent(record({"seconds": 6.0, "work": WORK}, processes=n)).seconds for n in (1, 2))
    assert two["forward"] == one["forward"] / 2
    assert sum(two.values()) == sum(one.values())


@pytest.mark.parametrize(
    ("work", "word"), [({"seconds": 5.0}, "waiting for the engine"), (None, "answering")], ids=["server", "hflm"]
)
def test_engines_that_count_less_say_less(work: dict[str, float] | None, word: str) -> None:
    spent = time_spent(record({"seconds": 5.0, "work": work}, peak_memory_bytes=None))
    assert spent.seconds[word] == 5.0
    assert "forward" not in spent.seconds
    assert spent.tokens_per_second is None
    assert "tokens" not in time_text(spent)


def test_a_record_without_timings_or_cells_says_nothing_wrong() -> None:
    assert time_text(time_spent({})).splitlines()[0] == "where the time of this record went (0.0 s, 0 cells)"
