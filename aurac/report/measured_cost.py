"""What a rank costs as one number, for an axis: the size of the adapter, or a time from `aurac profile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aurac.errors import CurveError, RecordError, UnknownNameError
from aurac.results import Profile, Run, read_profile
from aurac.results.profile import ProfileRow

SIZE = "size"
"""The cost that needs no profile: parameters, or ranks where the weights are not at hand."""


@dataclass(frozen=True)
class Measured:
    """A column of a profile: what its axis is called, and its value at a rank."""

    label: str
    value: Callable[[ProfileRow], float]


MEASURED = {
    "prefill": Measured("prefill with the adapter attached (ms)", lambda row: 1000 * row.unmerged.prefill_seconds),
    "decode": Measured("one token with the adapter attached (ms)", lambda row: 1000 * row.unmerged.decode_seconds),
}
COSTS = (SIZE, *MEASURED)


def measured_costs(runs: Sequence[Run], cost: str) -> list[dict[int, float]]:
    """Return rank -> cost of each run.

    Raises:
        UnknownNameError: If `cost` is not in `MEASURED`.
        RecordError: If a run has no profile.
        CurveError: If two profiles were measured under different conditions, so that their times do not compare.
    """
    if cost not in MEASURED:
        raise UnknownNameError("cost", cost, COSTS)
    profiles = [_profile(run) for run in runs]
    for run, profile in zip(runs, profiles, strict=True):
        _check_conditions(runs[0].name, profiles[0], run.name, profile)
    return [{row.rank: MEASURED[cost].value(row) for row in profile.rows} for profile in profiles]


def _profile(run: Run) -> Profile:
    profile = read_profile(run)
    if profile is None:
        raise RecordError(
            f"run {run.name!r} has no times. Measure them with `aurac profile ADAPTER_DIR --out {run.path}`."
        )
    return profile


def _check_conditions(first: str, a: Profile, second: str, b: Profile) -> None:
    differing = [key for key, value in a.conditions.items() if b.conditions.get(key) != value]
    if differing:
        key = differing[0]
        raise CurveError(
            f"times of {first} and {second} do not compare: {key} is {a.conditions[key]} and {b.conditions.get(key)}. "
            "Profile both on the same machine with the same settings."
        )
