"""`aurac` in processes that can be killed, children of a server that has imported everything: they start at once.

What a child measures, and where it stands when it is to be killed, it appends to a file.
"""

from __future__ import annotations

import locale
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_IMPORTED = ["aurac.harness.scoring", "aurac.report.comparison", "aurac_adapters.training.trainer", "children"]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(_IMPORTED)
Prepare = Callable[[], object]


def start_server() -> None:
    """Let the server begin to import, which takes seconds, while something else happens."""
    forkserver.ensure_running()


class Child:
    """One `aurac` command in a process of its own.

    Args:
        argv: The command's arguments.
        log: File for what it prints.
        prepare: Called in the child before the command: limits, patches.
    """

    def __init__(self, argv: Sequence[object], log: Path, prepare: Sequence[Prepare] = ()) -> None:
        self.log = log
        arguments = ([str(arg) for arg in argv], log, tuple(prepare))
        self.process: ForkServerProcess = _SERVER.Process(target=_run, args=arguments)
        self.process.start()

    def kill(self) -> None:
        """Kill -9, and wait for the end."""
        self.process.kill()
        self.process.join()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = 120) -> int:
        """Return the exit status; minus the signal where one ended it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.output}"
        return self.process.exitcode

    @property
    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")


def _run(argv: list[str], log: Path, prepare: Sequence[Prepare]) -> None:
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    # Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import aurac.report.plots.curves
    from aurac.cli import main

    aurac.report.plots.curves.save_curves = lambda *_, **__: None  # type: ignore[assignment]  # most of the time
    for step in prepare:
        step()
    status = main(argv)
    sys.stdout.flush()
    sys.exit(status)


def note_measurements(file: Path) -> None:
    """Append a line to `file` for every cell that is measured."""
    import aurac.harness.sweep as sweep

    measure = sweep.measure_cell

    def measure_and_note(lm: Any, leaf: Any, rank: int) -> Any:
        cell = measure(lm, leaf, rank)
        with file.open("a") as stream:
            stream.write(f"{leaf.name}@{rank}\n")
        return cell

    sweep.measure_cell = measure_and_note


def slow_cells(seconds: float) -> None:
    """Let each cell take longer, so that there is something to interrupt."""
    import aurac.harness.sweep as sweep

    measure = sweep.measure_cell

    def measure_slowly(lm: Any, leaf: Any, rank: int) -> Any:
        time.sleep(seconds)
        return measure(lm, leaf, rank)

    sweep.measure_cell = measure_slowly


def limit_files(size: int) -> None:
    """Let no file grow above a size: a quota that anybody can set."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def die_at_operation(number: int) -> None:
    """Kill this process before its `number`th change of a file's name or existence, counted from 0."""
    done = [0]

    def guarded(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if done[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        done[0] += 1
        return operation(*args, **kwargs)

    for name in ("replace", "unlink", "rmdir", "mkdir"):
        setattr(os, name, partial(guarded, getattr(os, name)))


def set_clock(seconds: float) -> None:
    """Set the clock that the project reads to so many seconds from now."""
    import datetime as module

    import aurac.results.writing as writing

    class Shifted(module.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return module.datetime.now(tz) + module.timedelta(seconds=seconds)

    writing.datetime = Shifted  # type: ignore[misc]
    real = time.time
    time.time = lambda: real() + seconds


def set_place(name: str, zone: str) -> None:
    """Use a locale, where the machine has it, and a time zone."""
    os.environ |= {"LC_ALL": name, "LANG": name, "TZ": zone}
    time.tzset()
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        locale.setlocale(locale.LC_ALL, "C")
