"""What is going on in a benchmark's folder, for `aurac bench --dry-run`: a small file for every job that was begun.

A job that runs writes its file again every few seconds, on whichever machine it is; one that died stops doing so.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aurac.workflows.bench.jobs import Job
from aurac.writing import write_text

FOLDER = "jobs"
BEAT_SECONDS = 10.0
DEAD_SECONDS = 60.0
"""A file that is older belongs to a job that died, or whose machine did."""


@contextmanager
def running(root: Path, job: Job) -> Iterator[None]:
    """Say that the job runs, until it ends; an error is kept with it."""
    file = _file(root, job)
    about = {
        "job": f"{job.label} {job.verb}",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "begun": time.time(),
    }
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            _write(file, {**about, "status": "running"})

    _write(file, {**about, "status": "running"})
    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    outcome: dict[str, Any] = {"status": "stopped"}
    try:
        yield
        outcome = {"status": "done"}
    except Exception as exc:
        outcome = {"status": "failed", "error": f"{type(exc).__name__}: {' '.join(str(exc).split())}"}
        raise
    finally:
        over.set()
        beating.join()
        _write(file, {**about, **outcome, "seconds": time.time() - about["begun"]})  # type: ignore[operator]


def read(root: Path, job: Job) -> dict[str, Any]:
    """Return what is known of a job: its status is running, done, failed, stopped (also where it died) or unknown."""
    file = _file(root, job)
    try:
        about: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        age = time.time() - file.stat().st_mtime
    except (OSError, ValueError):
        return {"status": "unknown"}
    return {**about, "status": "stopped"} if about["status"] == "running" and age > DEAD_SECONDS else about


def _file(root: Path, job: Job) -> Path:
    return root / FOLDER / f"{hashlib.sha256(str(job.key.relative_to(root)).encode()).hexdigest()[:16]}.json"


def _write(file: Path, about: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(about, indent=2) + "\n")
