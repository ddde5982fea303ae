"""Damaged adapter folders and records, read one after the other; what came of each is counted."""

from __future__ import annotations

import random
import resource
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aurac.errors import AuracError
from aurac.results import load
from aurac_adapters import read_adapter
from mutations import mutate_bytes, mutate_safetensors, mutate_text

Mutate = Callable[[bytes, random.Random], bytes]
ADAPTER: Mapping[str, Mutate] = {
    "adapter_config.json": mutate_text,
    "adapter_model.safetensors": mutate_safetensors,
    "aurac_adapter.json": mutate_text,
}
RECORD: Mapping[str, Mutate] = {"run.json": mutate_text, "documents.parquet": mutate_bytes}


@dataclass
class Fuzzed:
    """What came of the inputs.

    Attributes:
        outcomes: "read", or the kind of error of the project -> how often.
        escaped: Number of the input and what was raised: anything that is no error of the project.
        slowest: Seconds of the slowest input.
        grown: Bytes by which the largest memory of the process grew.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    escaped: list[str] = field(default_factory=list)
    slowest: float = 0.0
    grown: int = 0

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.outcomes.total() + len(self.escaped)


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: most of the time goes into opening files."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def fuzz_adapters(sources: list[Path], *, inputs: int, seed: int) -> Fuzzed:
    """Read `inputs` damaged copies of the adapter folders `sources`."""
    return _fuzz(sources, ADAPTER, lambda folder: read_adapter(folder).scaling_note, inputs, seed)


def fuzz_records(sources: list[Path], *, inputs: int, seed: int) -> Fuzzed:
    """Read `inputs` damaged copies of the records `sources`."""
    return _fuzz(sources, RECORD, load, inputs, seed)


def _fuzz(
    sources: list[Path],
    files: Mapping[str, Mutate],
    read: Callable[[Path], object],
    inputs: int,
    seed: int,
) -> Fuzzed:
    found = Fuzzed()
    whole = [{name: (source / name).read_bytes() for name in files if (source / name).exists()} for source in sources]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with scratch_folder() as scratch:
        for number, source in enumerate(sources):
            shutil.copytree(source, Path(scratch, str(number)))
        for number in range(inputs):
            rng = random.Random(f"{seed}/{number}")
            which = rng.randrange(len(sources))
            folder, name = Path(scratch, str(which)), rng.choice(list(whole[which]))
            (folder / name).write_bytes(files[name](whole[which][name], rng))
            _read(found, read, folder, f"{sources[which].name}/{name}, seed {seed}, input {number}")
            (folder / name).write_bytes(whole[which][name])
    found.grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return found


def _read(found: Fuzzed, read: Callable[[Path], object], folder: Path, what: str) -> None:
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)
    except AuracError as error:
        found.outcomes[type(error).__name__] += 1
    except Exception as error:
        found.escaped.append(f"{what}: {type(error).__name__}: {str(error)[:100]}")
    else:
        found.outcomes["read"] += 1
    found.slowest = max(found.slowest, time.perf_counter() - started)
