"""A sweep that is killed again and again, and what came of it: for the tests and for `make soak`."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapter_by_peft import TASKS
from children import Child, Prepare, note_measurements, slow_cells


@dataclass(frozen=True)
class Killed:
    """What came of a run that was killed again and again.

    Attributes:
        kills: How often it was killed while it ran.
        cells: Cells of the sweep.
        measured: Cells measured by all its processes together; more than `cells` where a finished one was lost.
        lost: Cells that were in a file before a kill and had to be measured again.
    """

    kills: int
    cells: int
    measured: int
    lost: int


def score_command(adapter: Path, out: Path, *, tasks: str = "facts,tilt,cipher", ranks: str = "1,2,3,4") -> list[Any]:
    """Return the arguments of a short `aurac score` on the embedded testbed."""
    settings = ["--ranks", ranks, "--dtype", "float32", "--device", "cpu"]
    return ["score", adapter, "--tasks", tasks, "--no-base", *TASKS, *settings, "--out", out]


def kill_again_and_again(command: list[Any], out: Path, *, kills: int, seed: int, seconds: float, cells: int) -> Killed:
    """Run a command, kill it `kills` times at random moments, and let it finish.

    Half of the moments are drawn from the start of the process, half from the end of the cell that follows. So the
    run cannot end before it was killed often enough, whether the machine is slow or fast.

    Args:
        command: What to run; the same each time.
        out: Its record.
        kills: How often to kill.
        seed: Of the moments.
        seconds: How long the run takes where nothing interrupts it.
        cells: Cells of the run.
    """
    rng = random.Random(seed)
    notes, log = out.with_suffix(".notes"), out.with_suffix(".log")
    prepare: list[Prepare] = [partial(note_measurements, notes), partial(slow_cells, seconds / 10)]
    lost = 0
    for number in range(kills + 1):
        before, noted = finished(out), len(_lines(notes))
        child = Child(command, log, prepare)
        if number == kills:
            assert child.wait() == 0, child.output
        else:
            if rng.random() < 0.5 and len(before) < cells - 2:
                while finished(out) == before and child.process.exitcode is None:
                    time.sleep(0.005)
                time.sleep(rng.uniform(0, seconds / 10))
            else:
                time.sleep(rng.uniform(0, seconds / 4))
            assert child.process.exitcode is None, child.output
            child.kill()
        lost += len(before & set(_lines(notes)[noted:]))
    entries = json.loads((out / "run.json").read_text())["cells"]
    return Killed(kills, len(entries), len(_lines(notes)), lost)


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def finished(out: Path) -> set[str]:
    """Return the cells that lie in files of a record: "task@rank"."""
    names = {path.stem for path in (out / "cells").glob("*.parquet")}
    if (out / "run.json").exists():
        cells = json.loads((out / "run.json").read_text())["cells"]
        names |= {f"{cell['task']}@{cell['rank']}" for cell in cells if cell["status"] == "done"}
    return names


def contents(out: Path) -> tuple[bytes, dict[str, Any]]:
    """Return what two records of the same run have in common: the documents, and `run.json` without times."""
    run = json.loads((out / "run.json").read_text())
    for cell in run["cells"]:
        cell.pop("seconds")
        for name in ("seconds", "compute_seconds", "rank_seconds"):
            cell["work"].pop(name)
    kept = {key: value for key, value in run.items() if key not in ("created", "updated", "timings")}
    return (out / "documents.parquet").read_bytes(), kept
