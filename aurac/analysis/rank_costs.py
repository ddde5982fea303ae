"""The costs of a run's ranks: sizes from its weights or its profile, times from its profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurac.analysis.adapter_size import sizes_at
from aurac.errors import CurveError, RecordError
from aurac.results import Profile, Run, read_profile
from aurac.results.profile import ProfileRow


@dataclass(frozen=True)
class Cost:
    """A cost of a rank, and how texts and plots speak of it.

    Attributes:
        of: From a run to its measured ranks and what each costs, in the unit of the label; `RecordError` where the run
            does not know.
        words: What is integrated over, as a sentence says it.
        counts: What counts the same, for the docs.
        label: Of the x axis in plots, with the unit.
        measured: Whether it is a time, which differs from one measurement to the next.
    """

    of: Callable[[Run], Mapping[int, float]]
    words: str
    label: str
    counts: str = ""
    measured: bool = False


def profile_of(run: Run) -> Profile | None:
    """Return the profile of a run, or of the first training of a method that has one: all cost the same."""
    return next((found for one in run.seeds or (run,) if (found := read_profile(one)) is not None), None)


def check_conditions(runs: Sequence[Run]) -> None:
    """Raise `CurveError` if two profiles were measured under different conditions, so that times do not compare."""
    profiles = [_measured(run) for run in runs]
    for run, profile in zip(runs, profiles, strict=True):
        first = profiles[0].conditions
        differing = [key for key, value in first.items() if profile.conditions.get(key) != value]
        if differing:
            key = differing[0]
            raise CurveError(
                f"times of {runs[0].name} and {run.name} do not compare: {key} is {first[key]} and "
                f"{profile.conditions.get(key)}. Profile both on the same machine with the same settings."
            )


def _measured(run: Run) -> Profile:
    """Return a profile with every rank that was scored."""
    profile = profile_of(run)
    if profile is None:
        where = (run.seeds or (run,))[0].path
        raise RecordError(
            f"run {run.name!r} has no times. Measure them with `aurac profile ADAPTER_DIR --out {where}`."
        )
    if lacking := [rank for rank in run.ranks if profile.row(rank) is None]:
        raise RecordError(
            f"run {run.name!r} was scored at rank {lacking[0]}, which its profile lacks. Run `aurac profile` with all "
            "ranks."
        )
    return profile


def _time(milliseconds: Callable[[ProfileRow], float]) -> Callable[[Run], Mapping[int, float]]:
    return lambda run: {row.rank: milliseconds(row) for row in _measured(run).rows if row.rank in run.ranks}


def _size(what: str) -> Callable[[Run], Mapping[int, float]]:
    """Return a function from a run to the sizes of its ranks: as recorded, of its weights, or of its profile.

    Of a method the first training that knows them speaks for all.
    """

    def of(run: Run) -> Mapping[int, float]:
        if (budgets := (run.seeds or (run,))[0].record.get("budgets")) is not None:
            return _of_budgets(run, budgets, what)
        for one in run.seeds or (run,):
            recorded = one.record.get("parameters", {})
            if what == "parameters" and all(str(rank) in recorded for rank in run.ranks):
                return {rank: recorded[str(rank)] for rank in run.ranks}
        for one in run.seeds or (run,):
            if (sizes := sizes_at(one, run.ranks)) is not None:
                return {rank: getattr(size, what) for rank, size in sizes.items()}
        profile = profile_of(run)
        if profile is None or what == "flops" or any(profile.row(rank) is None for rank in run.ranks):
            raise RecordError(_unknown(run, what))
        return {row.rank: getattr(row, what) for row in profile.rows if row.rank in run.ranks}

    return of


def _of_budgets(run: Run, budgets: Mapping[str, Any], what: str) -> Mapping[int, float]:
    """Return what the adapter has at each budget that was scored, which may be less than the budget."""
    if what != "parameters" or any(str(size) not in budgets for size in run.ranks):
        raise RecordError(
            f"run {run.name!r} was scored at budgets of parameters, and its record does not say what they cost in "
            f"{what}. Take the axis params or log2."
        )
    return {size: budgets[str(size)]["parameters"] for size in run.ranks}


def _unknown(run: Run, what: str) -> str:
    one = (run.seeds or (run,))[0]
    recorded = one.record.get("identity", {}).get("adapter", {}).get("path")
    where = f"at {recorded}" if recorded else "beside the record"
    also = "" if what == "flops" else f", or measure every rank: `aurac profile ADAPTER_DIR --out {one.path}`"
    return (
        f"run {run.name!r} does not say what its ranks cost in {what}: the weights that were scored are not {where}. "
        f"Put them back{also}."
    )


PARAMS = Cost(
    _size("parameters"), "the trainable parameters of the adapter", "adapter parameters", "every trainable parameter"
)
BYTES = Cost(_size("bytes"), "the bytes of the adapter", "adapter size (bytes)", "every stored byte of the matrices")
FLOPS = Cost(
    _size("flops"),
    "the floating-point operations that the adapter adds to a token",
    "operations of the adapter (FLOP per token)",
    "every floating-point operation that the adapter adds to a token, unmerged",
)
LATENCY = Cost(
    _time(lambda row: 1000 * row.unmerged.decode_seconds),
    "the time of one token with the adapter attached",
    "one token with the adapter attached (ms)",
    "every millisecond of one token, adapter attached, as profiled",
    measured=True,
)
PREFILL = Cost(
    _time(lambda row: 1000 * row.unmerged.prefill_seconds),
    "the time of the prompt with the adapter attached",
    "prefill with the adapter attached (ms)",
    "every millisecond of the prompt, likewise",
    measured=True,
)
