"""Where the time of a scoring went, in a few lines."""

from __future__ import annotations

from aurac.analysis.time_spent import TimeSpent
from aurac.report.tables.cost import bytes_text


def time_text(spent: TimeSpent) -> str:
    """Return a line for each part of the time, with its share, and one on tokens and memory.

    Example:
        >>> print(time_text(TimeSpent({"planning": 1.0, "forward": 3.0}, 2, 3.0, 600, 2_000_000)))
        where the time of this record went (4.0 s, 2 cells)
          planning   1.0 s   25 %
          forward    3.0 s   75 %
          200 tokens forwarded per second, at most 2.00 MB of memory
    """
    total = sum(spent.seconds.values())
    width = max(map(len, spent.seconds), default=0)
    lines = [
        f"where the time of this record went ({total:.1f} s, {spent.cells} {'cell' if spent.cells == 1 else 'cells'})"
    ]
    for name, seconds in spent.seconds.items():
        share = seconds / total if total else 0.0
        lines.append(f"  {name:<{width}} {seconds:>6.1f} s  {share:>4.0%}".replace("%", " %"))
    speed, memory = spent.tokens_per_second, spent.peak_memory_bytes
    said = [
        *([] if speed is None else [f"{speed:,.0f} tokens forwarded per second"]),
        *([] if memory is None else [f"at most {bytes_text(memory)} of memory"]),
    ]
    return "\n".join([*lines, *([f"  {', '.join(said)}"] if said else [])])
