"""`profile.json`: what each rank of an adapter costs, beside the run record and apart from its identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aurac.errors import RecordError
from aurac.results.files import PROFILE, RUN_JSON, plain, read_run_json
from aurac.results.reading import Run
from aurac.writing import write_text

PROFILE_VERSION = 1
"""Schema version of `profile.json`."""


@dataclass(frozen=True)
class Cost:
    """Time and memory of one rank, attached or merged.

    Attributes:
        prefill_seconds: Median time of one forward pass over the prompts.
        decode_seconds: Median time of one further token of every row of the batch.
        peak_memory_bytes: Largest allocation on the GPU, model and cache included; None where it was not measured.
        all_prefill_seconds: Every repeat.
        all_decode_seconds: Every repeat, per token.
    """

    prefill_seconds: float
    decode_seconds: float
    peak_memory_bytes: int | None
    all_prefill_seconds: tuple[float, ...] = ()
    all_decode_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class ProfileRow:
    """One rank.

    Attributes:
        rank: From 1.
        parameters: Entries of the slice's A and B matrices.
        bytes: Of the slice's tensors as stored, in the float width of its file.
        unmerged: With the slice attached: `W0 x + B A x`, of which only the first `rank` rows exist.
        merged: With the slice merged into the base weights and the adapter layers taken out.
    """

    rank: int
    parameters: int
    bytes: int
    unmerged: Cost
    merged: Cost


@dataclass(frozen=True)
class Profile:
    """The cost of an adapter at several ranks.

    Attributes:
        adapter: At least its sha256 and max_rank.
        base: What tells the base model from others.
        settings: Prompt and new tokens, batch size, repeats, dtypes: costs under other settings are other numbers.
        hardware: The kind of machine.
        versions: Of the libraries.
        rows: By rank, ascending.
    """

    adapter: Mapping[str, Any]
    base: Mapping[str, Any]
    settings: Mapping[str, Any]
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    rows: tuple[ProfileRow, ...]

    def row(self, rank: int) -> ProfileRow | None:
        """Return the costs of a rank; None where it was not measured."""
        return next((row for row in self.rows if row.rank == rank), None)

    @property
    def conditions(self) -> dict[str, Any]:
        """What has to be equal for two profiles to be comparable."""
        machine = {key: value for key, value in self.hardware.items() if key != "cuda"}
        return {**self.settings, **machine, "base": self.base.get("sha256") or self.base.get("revision")}


def check_profile_folder(folder: Path, sha256: str) -> None:
    """Raise `RecordError` if the folder holds the record of another adapter; it need not exist."""
    if folder.exists() and not folder.is_dir():
        raise RecordError(f"{folder} is a file. Give the folder of a run record with --out.")
    if (folder / RUN_JSON).is_file():
        _check_adapter(folder, read_run_json(folder), sha256)


def write_profile(folder: Path, profile: Profile) -> Path:
    """Write `profile.json` into the folder of a record; replaced whole, `run.json` stays as it is."""
    check_profile_folder(folder, str(profile.adapter["sha256"]))
    folder.mkdir(parents=True, exist_ok=True)
    content = plain({"schema_version": PROFILE_VERSION, **asdict(profile)})
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(folder / PROFILE, text)
    return folder / PROFILE


def read_profile(run: Run) -> Profile | None:
    """Return the profile beside a record; None where there is none.

    Raises:
        RecordError: If the file is damaged, of another version, or of another adapter than the record.
    """
    if run.path is None or not (run.path / PROFILE).is_file():
        return None
    file = run.path / PROFILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["schema_version"] != PROFILE_VERSION:
            raise RecordError(
                f"{file} has schema version {content['schema_version']}, this aurac reads {PROFILE_VERSION}. Run "
                "`aurac profile` again, or upgrade aurac."
            )
        rows = tuple(_row(row) for row in content["rows"])
        names = ("adapter", "base", "settings", "hardware", "versions")
        profile = Profile(**{name: dict(content[name]) for name in names}, rows=rows)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        if isinstance(exc, RecordError):
            raise
        raise RecordError(
            f"{file} is damaged: {type(exc).__name__} {exc}. Delete it and run `aurac profile` again."
        ) from exc
    _check_adapter(run.path, run.record, profile.adapter.get("sha256"))
    return profile


def _row(row: Mapping[str, Any]) -> ProfileRow:
    return ProfileRow(**{**row, "unmerged": _cost(row["unmerged"]), "merged": _cost(row["merged"])})


def _cost(cost: Mapping[str, Any]) -> Cost:
    repeats = {key: tuple(value) for key, value in cost.items() if key.startswith("all_")}
    return Cost(**{**cost, **repeats})


def _check_adapter(folder: Path, record: Mapping[str, Any], sha256: Any) -> None:
    recorded = record.get("identity", {}).get("adapter", {}).get("sha256")
    if recorded != sha256:
        raise RecordError(
            f"{folder}: the profile is of the adapter {str(sha256)[:12]}, the record of {str(recorded)[:12]} (sha256 "
            "of the weights). Profile the adapter that was scored, or give another folder with --out."
        )
