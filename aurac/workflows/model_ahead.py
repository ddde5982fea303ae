"""What of an engine's opening is begun while tasks are built: reading the model, which waits for disks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aurac.results.files import RUN_JSON
from aurac.workflows.options import ScoreOptions

if TYPE_CHECKING:
    from aurac.harness.opening import Base, EngineOptions


@contextmanager
def begun(base: Base, options: ScoreOptions, out: Path) -> Iterator[Base]:
    """Begin to read the model, where it will be needed: with a record that there is, perhaps nothing is lacking.

    An error is raised where the model is opened, after those of the tasks; the block ends when the reading has ended.
    """
    from aurac.harness import ENGINES
    from aurac.harness.ahead import Ahead

    ahead = ENGINES[options.engine].ahead
    reading = None if ahead is None or (out / RUN_JSON).exists() else ahead(base, engine_options(options))
    if reading is None:
        yield base
        return
    with Ahead(reading) as model:
        yield replace(base, ahead=model.result)


def engine_options(options: ScoreOptions) -> EngineOptions:
    """Return what of the options is an engine's."""
    from aurac.harness.opening import EngineOptions

    names = {entry.name for entry in fields(EngineOptions)} & {entry.name for entry in fields(options)} - {"ranks"}
    return EngineOptions(**{name: getattr(options, name) for name in names})
