"""training.json: what a training was asked to do, what it did, and whether it is finished.

It is written when the training begins and again when it ends. So the folder says what is going on in it, and a second
call knows whether to go on, to leave a finished adapter alone, or to refuse.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from aurac.errors import RecordError
from aurac.writing import write_text
from aurac_adapters.data.dataset import TokenizedData

SCHEMA_VERSION = 1
FILE = "training.json"
VERSIONS_OF = ("aurac", "torch", "transformers", "peft", "accelerate")

Record = dict[str, Any]


def read(folder: Path, config: Mapping[str, Any]) -> Record | None:
    """Return the record of a folder; None where a training may begin.

    Args:
        folder: Where the adapter goes.
        config: What makes it the same training, as JSON values.

    Raises:
        RecordError: If the folder holds something else, a damaged record, or another training (its keys are named).
    """
    path = folder / FILE
    if not check_place(folder):
        return None
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        schema = record["schema_version"]
        found, _, _ = record["config"], record["status"], record["data"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is damaged ({error!r}); give a new folder, or delete this one.") from error
    if schema != SCHEMA_VERSION:
        raise RecordError(
            f"{path} has schema version {schema}, this aurac reads {SCHEMA_VERSION}. Use the aurac that began this "
            "training, or give a new folder."
        )
    _require_same(folder, found, json.loads(json.dumps(config)))
    return record


def check_place(folder: Path) -> bool:
    """Return whether a training was begun in a folder.

    Raises:
        RecordError: If something else is there.
    """
    if (folder / FILE).exists():
        return True
    if folder.exists() and not folder.is_dir():
        raise RecordError(f"{folder} is a file; give a new or an empty folder.")
    if folder.exists() and any(item.name != ".lock" for item in folder.iterdir()):
        raise RecordError(f"{folder} holds something that is no training of aurac; give a new or an empty folder.")
    return False


def begin(config: Mapping[str, Any], data: TokenizedData, *, previous: Record | None) -> Record:
    """Return the record of a training that begins, or goes on from `previous`.

    Raises:
        RecordError: If the data are not those that the training began with.
    """
    if previous is not None and previous["data"]["sha256"] != data.sha256:
        raise RecordError("the data have changed since this training began; train into a new folder.")
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "running",
        "config": dict(config),
        "data": {name: value for name, value in vars(data).items() if name != "rows"},
        "started": _now(),
        "versions": {name: version(name) for name in VERSIONS_OF},
        "commit": _commit(),
    }


def finish(record: Record, *, log_history: Iterable[Mapping[str, Any]], **outcome: Any) -> Record:
    """Return the record of a finished training.

    Args:
        record: What `begin` returned.
        log_history: Trainer's; a loss in it is the mean over the steps since the entry before.
        outcome: Further keys: steps, tokens, seconds, device.
    """
    kept = ("step", "loss", "learning_rate", "grad_norm")
    losses = [{key: entry[key] for key in kept if key in entry} for entry in log_history if "loss" in entry]
    return {**record, "status": "finished", "finished": _now(), **outcome, "losses": losses}


def write(folder: Path, record: Record) -> None:
    """Write the record so that a reader sees the old one or the new one, nothing in between."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, json.dumps(record, indent=2, allow_nan=False) + "\n")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other processes from training into the folder meanwhile.

    Raises:
        RecordError: If one does already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as exc:
        raise RecordError(
            f"another process is training into {folder}. Wait for it to end, or give another folder with --out."
        ) from exc
    try:
        yield
    finally:
        lock.release()


def _require_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    found, wanted = _flat(found), _flat(wanted)
    # A record from before a switch existed lacks it, which means the same as off.
    if different := sorted(key for key in {*found, *wanted} if (found.get(key) or None) != (wanted.get(key) or None)):
        changes = ", ".join(f"{key} is {found.get(key)} there and {wanted.get(key)} here" for key in different)
        raise RecordError(f"{folder} holds another training: {changes}. Give a new folder, or repeat that command.")


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with the method's attributes beside the others."""
    return {**config, **{f"method.{key}": value for key, value in config["method"].items()}, "method": None}


def _commit() -> str | None:
    """Return the commit of this source where it is a git checkout, with "-dirty" if files were changed since."""
    here = Path(__file__)
    git = ("git", "-C", str(here.parent))
    try:
        # A virtual environment inside somebody else's checkout has a commit too, but not ours.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], check=True, capture_output=True)
        described = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(described, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
