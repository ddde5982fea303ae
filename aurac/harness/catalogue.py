"""lm-eval's catalogue of tasks: names checked, tasks built, and one clear error for each way in which that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Kind

from aurac.errors import TaskError, UnknownNameError
from aurac.harness.quiet import building
from aurac.harness.suites import TaskRequest


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
    names = [request.task for request in requests]
    if include_path is not None:
        if not Path(include_path).is_dir():
            raise TaskError(f"no such folder of tasks: {include_path}. Give a folder of lm-eval YAML files.")
        own = TaskManager(include_path=str(include_path), include_defaults=False)
        if all(name in own.task_index and own.task_index[name].kind is Kind.TASK for name in names):
            return own
    with building():
        manager = TaskManager(include_path=None if include_path is None else str(include_path))
    for name in names:
        if name not in manager.task_index:
            raise UnknownNameError("task", name, manager.all_tasks, advice="For your own tasks give --include-path.")
    return manager


def load(manager: TaskManager, name: str) -> dict[str, Any]:
    """Build a task, group or tag: `{"tasks": {name: Task}, "groups": {name: Group}, ...}`.

    Raises:
        TaskError: If its data cannot be reached, or the task cannot be built for another reason.
    """
    try:
        with building():
            return dict(manager.load([name]))
    except Exception as exc:  # tasks are other people's code
        cause = _first_line(exc)
        if not _is_about_data(exc):
            raise TaskError(f"task {name!r} cannot be built: {type(exc).__name__}: {cause}") from exc
        paths = sorted(set(_data_paths(manager, name)))
        data = ", ".join(repr(path) for path in paths[:3]) if paths else "its data"
        raise TaskError(
            f"the data of task {name!r} cannot be reached ({data}): {cause}. Run once with network access, set "
            "HF_DATASETS_CACHE to a cache that has it, or give a local task with --include-path."
        ) from exc


def is_group(manager: TaskManager, name: str) -> bool:
    """Tell whether the name is a group, which lm-eval averages; a tag only lists tasks."""
    return bool(manager.task_index[name].kind is Kind.GROUP)


def _is_about_data(exc: Exception) -> bool:
    """Offline, `datasets` raises ConnectionError, FileNotFoundError, and for a cache without it a ValueError."""
    return isinstance(exc, OSError) or "Couldn't find cache" in str(exc)


def _data_paths(manager: TaskManager, name: str) -> Iterator[str]:
    """Yield the data sets that a task, group or tag names in its YAML."""
    entry = manager.task_index.get(name)
    if entry is None:
        return
    config = entry.cfg or {}
    if path := config.get("dataset_path"):
        files = (config.get("dataset_kwargs") or {}).get("data_files")
        yield f"{path}: {files}" if files else str(path)
    members = config.get("task")
    for member in [*entry.tags, *(members if isinstance(members, list) else [])]:
        if entry.kind in (Kind.GROUP, Kind.TAG) and isinstance(member, str):
            yield from _data_paths(manager, member)


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n")[0].rstrip(".")
