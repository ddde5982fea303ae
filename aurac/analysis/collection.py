"""All run records below a folder, grouped into suites of runs that may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurac.analysis.compute import compute
from aurac.analysis.units import in_one_unit
from aurac.errors import RecordError
from aurac.results import Run, load
from aurac.results.files import NESTED, NESTED_BUDGETS, RUN_JSON

_OF_ONE_RUN = {"n", "docs", "part", "version"}


@dataclass(frozen=True)
class SuiteRuns:
    """Runs of the same base model on the same tasks, measured alike.

    Attributes:
        name: Folder of the records below the folder that was searched, numbered where it holds several suites.
        runs: Runs with a curve of every task that was asked for.
        incomplete: Runs that lack one, because a cell failed or was not measured yet.
    """

    name: str
    runs: tuple[Run, ...]
    incomplete: tuple[Run, ...]


def collect(root: Path) -> list[SuiteRuns]:
    """Return the suites below a folder, in the order of their names.

    Raises:
        RecordError: If there is no such folder, no record in it, or a record is damaged.
    """
    if not root.is_dir():
        what = f"{root} is a file, no folder" if root.exists() else f"no such folder: {root}"
        raise RecordError(f"{what}. Give a folder with run records.")
    folders = sorted(file.parent for file in root.rglob(RUN_JSON))
    if not folders:
        raise RecordError(f"{root} holds no run record ({RUN_JSON}). Put folders there that `aurac score` wrote.")
    by_folder: dict[str, list[Run]] = {}
    for folder in folders:
        by_folder.setdefault(_suite_name(folder, root), []).append(load(folder))
    return [suite for name, runs in sorted(by_folder.items()) for suite in _split(name, runs)]


def _suite_name(folder: Path, root: Path) -> str:
    run = folder.parent if folder.name in (NESTED, NESTED_BUDGETS) else folder
    parent = run.parent.relative_to(root) if run != root else Path()
    return parent.as_posix() if parent.parts else root.resolve().name


def _split(name: str, runs: Sequence[Run]) -> list[SuiteRuns]:
    """Put each run to the first whose numbers are of the same kind."""
    groups: list[list[Run]] = []
    for run in runs:
        group = next((group for group in groups if _alike(group[0], run)), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return [
        SuiteRuns(
            name if len(groups) == 1 else f"{name} ({number})",
            tuple(in_one_unit([run for run in group if not run.problems])),
            tuple(run for run in group if run.problems),
        )
        for number, group in enumerate(groups, 1)
    ]


def _alike(a: Run, b: Run) -> bool:
    """Tell whether two runs asked for the same tasks of the same base model, and measured what both have alike.

    One over ranks and one over budgets may be, where the parameters at the ranks are known and are the budgets.
    """
    if (_base(a), _asked(a)) != (_base(b), _asked(b)):
        return False
    try:
        a, b = in_one_unit([a, b])
    except RecordError:
        return False
    for task in set(a.tasks) & set(b.tasks):
        differing = compute(a, task=task).signature.differences(compute(b, task=task).signature)
        if set(differing) - _OF_ONE_RUN:
            return False
    return True


def _asked(run: Run) -> frozenset[str]:
    return frozenset((*run.tasks, *run.problems))


def _base(run: Run) -> Any:
    base = run.record.get("identity", {}).get("base", {})
    return base.get("sha256") or base.get("revision") or base.get("name_or_path")
