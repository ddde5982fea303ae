"""A task name that no YAML file contains is refused before anything heavy is imported: in a second, not in eleven."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from aurac.errors import UnknownNameError
from aurac.harness.protocols import PROTOCOLS, TaskRequest

_NAMES = re.compile(rb"^\W*(?:task|group|tag)\W*:\s*[\"']?([\w.+-]+)", re.MULTILINE)


def check_names(requests: Iterable[TaskRequest], *, include_path: str | Path | None = None) -> None:
    """Raise the error that lm-eval's catalogue would give for a name, where the files' text is enough to know.

    The catalogue decides in the end: a name that occurs anywhere in a file is left to it.

    Args:
        requests: What is asked for.
        include_path: Folder of your own task YAML files.

    Raises:
        UnknownNameError: If a name is no task, group or tag; the message has the near names.
    """
    if include_path is not None and not Path(include_path).is_dir():
        return  # the catalogue says so
    missing = list(dict.fromkeys(request.task for request in requests))
    known: set[str] = set(PROTOCOLS["standard"])
    for stem, text in _files(include_path):
        missing = [name for name in missing if name != stem and not _occurs(name, text)]
        if not missing:
            return
        known.update(name.decode() for name in _NAMES.findall(text))
    if len(known) > len(PROTOCOLS["standard"]):  # no file at all: lm-eval is laid out in a way that is not known here
        raise UnknownNameError("task", missing[0], known, advice=advice(include_path))


def advice(include_path: str | Path | None) -> str:
    """Return what to do about a name that lm-eval does not have, and the folder of own tasks does not either.

    Example:
        >>> advice("my_tasks")
        'No file in my_tasks (--include-path) has a task, group or tag of this name.'
    """
    if include_path is None:
        return "For your own tasks give --include-path."
    return f"No file in {include_path} (--include-path) has a task, group or tag of this name."


def _files(include_path: str | Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield name and text of every task file, your own first."""
    spec = find_spec("lm_eval")  # imports nothing
    installed: Sequence[str] = (spec.submodule_search_locations or []) if spec else []
    folders = [Path(place) / "tasks" for place in installed]
    for folder in [Path(include_path), *folders] if include_path is not None else folders:
        for file in folder.rglob("*.yaml"):
            yield file.stem, file.read_bytes()


def _occurs(name: str, text: bytes) -> bool:
    wanted = name.encode()
    return wanted in text and re.search(rb"(?<![\w.+-])" + re.escape(wanted) + rb"(?![\w+-])", text) is not None
