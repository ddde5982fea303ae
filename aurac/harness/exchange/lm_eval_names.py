"""Names in lm-eval's output: the file that holds the documents of a task, and the groups that hold each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from aurac.errors import RecordError

_LONGEST = 255
"""Bytes of a file's name that every file system takes."""


def samples_name(task: str, date: str, *, advice: str) -> str:
    """Return the name of the file with the documents of a task.

    Args:
        task: A leaf task.
        date: As lm-eval writes it into the names of its files.
        advice: What to do where no file can have that name.

    Raises:
        RecordError: If the task is empty, too long, or holds what no file's name can.
    """
    name = f"samples_{task}_{date}.jsonl"
    if not task or "/" in name or "\0" in name or not 0 < _bytes(name) <= _LONGEST:
        raise RecordError(
            f"the task {task!r:.100} cannot be part of a file's name ({name!r:.140}): it is empty or too long, or "
            f"holds a slash, a null byte or half a character. {advice}"
        )
    return name


def _bytes(name: str) -> int:
    try:
        return len(name.encode("utf-8"))
    except UnicodeEncodeError:  # JSON can hold half of a character
        return 0


def check_groups(rank: int, path: Path, content: Mapping[str, Any]) -> None:
    """Raise `RecordError` unless `group_subtasks` has a list of names for each group, and no group holds itself."""
    subtasks = content.get("group_subtasks", {})
    lists = subtasks.values() if isinstance(subtasks, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise RecordError(
            f"rank {rank}: {path} is damaged: group_subtasks is no list of names for each group. Run lm_eval again."
        )
    groups = {group: [n for n in names if n not in content["configs"]] for group, names in subtasks.items()}
    try:
        TopologicalSorter(groups).prepare()
    except CycleError as exc:
        cycle = " in ".join(f"{name!r:.60}" for name in exc.args[1])
        raise RecordError(
            f"rank {rank}: {path} is damaged: its groups hold each other in a circle ({cycle:.300}). Run lm_eval again."
        ) from exc


def below(group: str, subtasks: Mapping[str, Sequence[str]], leaves: Collection[str]) -> list[str]:
    """Return the tasks and groups below a group, each once, from the top and from left to right."""
    found: dict[str, None] = {}
    waiting = [*reversed(subtasks.get(group, []))]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = None
        if name not in leaves:
            waiting += reversed(subtasks.get(name, []))
    return list(found)
