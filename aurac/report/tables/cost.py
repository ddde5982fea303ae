"""What each rank costs, as one table: parameters, bytes, and where they were measured, times and memory."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from aurac.analysis.recommended import CostLine
from aurac.report.numbers import MISSING
from aurac.report.table import Table, TableCell
from aurac.results import Profile, Run, read_profile
from aurac.results.profile import ProfileRow

_TIMES = ("prefill", "merged", "per token", "merged")


def cost_table(
    rows: Sequence[ProfileRow | CostLine], *, title: str, best: int | None = None, profile: Profile | None = None
) -> Table:
    """Return sizes, and where a profile is given times and memory.

    Args:
        rows: One a rank, in the order of the table.
        title: Of the table.
        best: Rank to print in bold.
        profile: Where the times come from; its conditions are said below the table.
    """
    timed = profile is not None
    memory = timed and any(row.unmerged is not None and row.unmerged.peak_memory_bytes is not None for row in rows)
    more = (*(_TIMES if timed else ()), *(("peak memory", "merged") if memory else ()))
    return Table(
        title=title,
        columns=("rank", "parameters", "stored", *more),
        rows=tuple(_cells(row, timed, memory, bold=row.rank == best) for row in rows),
        notes=(_STORED,) if profile is None else (conditions(profile), *noise(profile)),
    )


def records(profile: Profile) -> list[dict[str, Any]]:
    """Return one flat dictionary a rank."""
    return [_record(row) for row in profile.rows]


def bytes_text(number: int | None) -> str:
    """Print a number of bytes in decimal units.

    Example:
        >>> bytes_text(1536), bytes_text(167_772_160), bytes_text(None)
        ('1.54 kB', '168 MB', '–')
    """
    if number is None:
        return MISSING
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{_three_digits(value) if unit else number} {_UNITS[unit]}"


_UNITS = ("B", "kB", "MB", "GB", "TB")
_STORED = "Stored: bytes of the matrices A and B in the float width of their file."


def conditions(profile: Profile) -> str:
    """Say under which settings and on what the times were measured."""
    s, machine = profile.settings, profile.hardware
    where = machine.get("name") or machine.get("device")
    threads = f", {machine['threads']} threads" if machine.get("threads") else ""
    return (
        f"Measured on {where}{threads}, batch size {s['batch_size']}, {s['prompt_tokens']} prompt tokens, "
        f"{s['new_tokens']} new tokens, base model in {s['dtype']}, adapter in {s['adapter_dtype']}; medians of "
        f"{s['repeats']} alternating repeats. Attached: a slice of this rank as plain PEFT. Merged: the same slice in "
        f"the base weights. {_STORED}"
    )


def noise(profile: Profile) -> tuple[str, ...]:
    """Say for which times the ranks differ by less than the repeats of one rank do; nothing where they differ by more.

    Compared are the range of the medians over ranks and the median over ranks of the range over repeats.
    """
    said = []
    for name, key in (("prefill", "prefill_seconds"), ("the time of a token", "decode_seconds")):
        costs = [row.unmerged for row in profile.rows]
        medians = [getattr(cost, key) for cost in costs]
        repeats = [getattr(cost, f"all_{key}") for cost in costs]
        if len(costs) < 2 or min(map(len, repeats)) < 2:
            continue
        between, within = max(medians) - min(medians), median(max(times) - min(times) for times in repeats)
        if between < within:
            said.append(
                f"Noise: {name} differs by {time_text(between)} between ranks, and by {time_text(within)} between "
                "repeats of one rank. Do not order the ranks by it; measure on a quiet machine, with more --repeats "
                "and a larger load."
            )
    return tuple(said)


def noise_of(run: Run) -> tuple[str, ...]:
    """Return `noise` of the profile beside a record; nothing where there is none."""
    profile = read_profile(run)
    return () if profile is None else noise(profile)


def time_text(seconds: float) -> str:
    """Print a time with three digits.

    Example:
        >>> time_text(0.0123456), time_text(1.5)
        ('12.3 ms', '1.50 s')
    """
    return f"{_three_digits(1000 * seconds)} ms" if seconds < 0.9995 else f"{_three_digits(seconds)} s"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def _cells(row: ProfileRow | CostLine, timed: bool, memory: bool, *, bold: bool) -> tuple[TableCell, ...]:
    costs = (row.unmerged, row.merged)
    texts = [str(row.rank), MISSING if row.parameters is None else f"{row.parameters:,}", bytes_text(row.bytes)]
    if timed:
        texts += [MISSING if cost is None else time_text(cost.prefill_seconds) for cost in costs]
        texts += [MISSING if cost is None else time_text(cost.decode_seconds) for cost in costs]
    if memory:
        texts += [MISSING if cost is None else bytes_text(cost.peak_memory_bytes) for cost in costs]
    return tuple(TableCell(text, bold=bold and column == 0) for column, text in enumerate(texts))


def _record(row: ProfileRow) -> dict[str, Any]:
    record: dict[str, Any] = {"rank": row.rank, "parameters": row.parameters, "bytes": row.bytes}
    for mode, cost in (("unmerged", row.unmerged), ("merged", row.merged)):
        for key in ("prefill_seconds", "decode_seconds", "peak_memory_bytes"):
            record[f"{mode}_{key}"] = getattr(cost, key)
    return record
