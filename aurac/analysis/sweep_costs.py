"""What slower paths cost, where memory ran out and where prompts were cut: what a sweep counted, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aurac.analysis.numeric_path import measured_cells
from aurac.results import Run


def slower_cost(run: Run, tasks: Sequence[str]) -> list[str]:
    """Say what the slower path on these tasks cost, as far as the record has it: tokens, and seconds of HFLM's code."""
    cells = [cell for task in dict.fromkeys(tasks) for cell in measured_cells(run.record, task)]
    works = [cell["work"] for cell in cells if cell["work"]["fallback"] is not None]
    ours = [work for work in works if "fallback" not in (work.get("seconds") or {})]  # HFLM's tokens are not counted
    forwarded, needed = _total(ours, "tokens_forwarded"), _total(ours, "distinct_prefix_tokens")
    seconds = sum((work.get("seconds") or {}).get("fallback", 0.0) for work in works)
    said = [f"That read {forwarded / needed:.1f} times the tokens that shared prefixes need."] if needed else []
    return said + ([f"It took {seconds:.0f} s in all."] if seconds >= 1 else [])


def lack_notes(run: Run, tasks: Sequence[str]) -> list[str]:
    """Say where memory ran out, so that batches became smaller, and where prompts did not fit the model's window."""
    works = {task: [cell["work"] for cell in measured_cells(run.record, task)] for task in tasks}
    halved = {task: n for task in tasks if (n := _total(works[task], "backed_off"))}
    cut = {
        f"{task} ({n} of {_total(works[task], 'requests')})": n
        for task in tasks
        if (n := _total(works[task], "truncated"))
    }
    notes = []
    if halved:
        notes.append(
            f"Memory ran out on {', '.join(halved)}: batches were halved ({sum(halved.values())} ×). A smaller "
            "--batch-size from the start saves these tries."
        )
    if cut:
        notes.append(
            f"Prompts that do not fit the model's window lost their beginning: requests on {', '.join(cut)}. Fewer "
            "shots, or a larger --max-length where the model allows it, avoid that."
        )
    return notes


def _total(works: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(work.get(name) or 0 for work in works)
