"""lm-eval's catalogue of tasks: names checked, tasks built, and one clear error for each way in which that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Kind

from aurac.errors import TaskError, UnknownNameError
from aurac.harness.protocols import PROTOCOLS, TaskRequest
from aurac.harness.quiet import building
from aurac.harness.task_names import advice
from aurac.harness.templates import compile_once
from aurac.home import unwritable_home


def open_catalogue(requests: Iterable[TaskRequest], *, include_path: str | Path | None = None) -> TaskManager:
    """Return lm-eval's `TaskManager` for these requests; needs no model, so that a wrong name is found first.

    Args:
        requests: What is asked for.
        include_path: Folder of your own task YAML files. Where it has all that is asked for, lm-eval's own 14,000
            names are not read, which saves seconds.

    Raises:
        UnknownNameError: If a name is no task, group or tag; the message has the near names.
        TaskError: If `include_path` is no folder.
    """
    compile_once()
    names = [request.task for request in requests]
    if include_path is not None:
        if not Path(include_path).is_dir():
            raise TaskError(f"no such folder of tasks: {include_path}. Give a folder of lm-eval YAML files.")
        own = TaskManager(include_path=str(include_path), include_defaults=False)
        if all(_is_complete(own, name) for name in names):
            return own
    files = Path(include_path).rglob("*.yaml") if include_path is not None else []
    state = frozenset((str(file), file.stat().st_mtime_ns) for file in files)
    manager = _whole_catalogue(None if include_path is None else str(include_path), state)
    for name in names:
        if name not in manager.task_index:
            known = {*manager.all_tasks, *PROTOCOLS["standard"]}
            raise UnknownNameError("task", name, known, advice=advice(include_path))
    return manager


@lru_cache(maxsize=2)
def _whole_catalogue(include_path: str | None, _state: frozenset[tuple[str, int]]) -> TaskManager:
    """Read all names, which takes 6 seconds; again only where one of your files changed (`_state`)."""
    with building():
        return TaskManager(include_path=include_path)


def _is_complete(manager: TaskManager, name: object) -> bool:
    """Tell whether a task, or a group with all its members, is here; a tag may have more members elsewhere."""
    entry = manager.task_index.get(name) if isinstance(name, str) else None
    if entry is None or entry.kind is not Kind.GROUP:
        return entry is not None and entry.kind in (Kind.TASK, Kind.PY_TASK)
    return all(_is_complete(manager, member) for member in (entry.cfg or {}).get("task", ()))


def load(manager: TaskManager, name: str) -> dict[str, Any]:
    """Build a task, group or tag: `{"tasks": {name: Task}, "groups": {name: Group}, ...}`.

    Raises:
        TaskError: If its data cannot be reached, or the task cannot be built for another reason.
    """
    try:
        with building():
            return dict(manager.load([name]))
    except Exception as exc:  # tasks are other people's code
        if said := unwritable_home(exc):
            raise TaskError(f"the data of task {name!r} cannot be read: {said}") from exc
        cause = _first_line(exc)
        if not _is_about_data(exc):
            raise TaskError(f"task {name!r} cannot be built: {type(exc).__name__}: {cause}") from exc
        if not (sets := sorted(set(_hub_data(manager, name)))):
            raise TaskError(
                f"the data of task {name!r} cannot be read: {cause}. Correct dataset_path or dataset_kwargs in its "
                "YAML file."
            ) from exc
        raise TaskError(
            f"the data of task {name!r} cannot be reached ({', '.join(sets[:3])}): {cause}. Run once with network "
            "access, set HF_DATASETS_CACHE to a cache that has it, or give a local task with --include-path."
        ) from exc


def is_group(manager: TaskManager, name: str) -> bool:
    """Tell whether the name is a group, which lm-eval averages; a tag only lists tasks."""
    return bool(manager.task_index[name].kind is Kind.GROUP)


def _is_about_data(exc: Exception) -> bool:
    """Offline, `datasets` raises ConnectionError, FileNotFoundError, and for a cache without it a ValueError."""
    return isinstance(exc, OSError) or "Couldn't find cache" in str(exc)


def _hub_data(manager: TaskManager, name: str) -> Iterator[str]:
    """Yield the data sets of the hub that a task, group or tag names in its YAML; none where its files are local."""
    entry = manager.task_index.get(name)
    if entry is None:
        return
    config = entry.cfg or {}
    path = config.get("dataset_path")
    if path and "data_files" not in (config.get("dataset_kwargs") or {}) and not Path(path).exists():
        yield str(path)
    members = config.get("task")
    for member in [*entry.tags, *(members if isinstance(members, list) else [])]:
        if entry.kind in (Kind.GROUP, Kind.TAG) and isinstance(member, str):
            yield from _hub_data(manager, member)


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n")[0].rstrip(".")
