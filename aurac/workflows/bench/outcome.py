"""What a benchmark leaves: the records of the chosen settings in one folder, and a table of means over the seeds."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurac.report.base import Report
from aurac.report.numbers import MISSING, value_text
from aurac.report.table import Table, TableCell
from aurac.results import load
from aurac.results.files import DOCUMENTS, RUN_JSON
from aurac.workflows.bench.choice import macro
from aurac.workflows.bench.method_specs import GRID
from aurac.workflows.bench.plan import Scoring
from aurac.writing import write_atomically

RECORDS = "records"
"""Folder of the records of the chosen settings, as `aurac compare` and `aurac report` take them."""


def publish(root: Path, scorings: Sequence[Scoring]) -> list[Path]:
    """Copy the records of the chosen settings to `records/CURVE-seed-N`, without plots and adapters."""
    suites = {scoring.suite for scoring in scorings}
    folders = []
    for scoring in scorings:
        if not scoring.is_done():
            continue
        parent = root / RECORDS / scoring.suite if len(suites) > 1 else root / RECORDS
        folder = parent / f"{scoring.curve}-seed-{scoring.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in (DOCUMENTS, RUN_JSON):  # the one that makes it a record comes last
            _copy(scoring.out / name, folder / name)
        folders.append(folder)
    return folders


def rows(scorings: Sequence[Scoring]) -> list[dict[str, Any]]:
    """Return one row for each suite and curve: its setting, and for every seed the macro AURAC, tasks, and regret.

    Regret is the macro AURAC of the retrained grid of the same seed minus that of the curve; None without a grid.
    """
    values: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    settings: dict[tuple[str, str], str] = {}
    for scoring in scorings:
        if scoring.is_done():
            run = load(scoring.out)
            areas = {"macro": macro(run), **{task: curve.area() for task, curve in run.curves.items()}}
            values.setdefault((scoring.suite, scoring.curve), {})[scoring.seed] = areas
            settings[scoring.suite, scoring.curve] = scoring.setting
    return [
        {
            "suite": suite,
            "curve": curve,
            "setting": settings[suite, curve],
            "seeds": list(seeds),
            "aurac": {name: [areas[name] for areas in seeds.values()] for name in next(iter(seeds.values()))},
            "regret": _regret(seeds, values.get((suite, GRID), {})),
        }
        for (suite, curve), seeds in values.items()
    ]


@dataclass(frozen=True)
class Outcome(Report):
    """The rows of a benchmark under the name of its study; `render` writes them in any format."""

    found: Sequence[Mapping[str, Any]]
    title: str
    choice: Mapping[str, Any] | None = None
    selection: str | None = None

    def tables(self) -> list[Table]:
        """Return one table a suite, and one of all settings with the score that chose among them."""
        chosen_on = _chosen_on(_deciding(self.choice), self.selection)
        made = [_table(self.title, list(suite), chosen_on) for suite in _by_suite(self.found)]
        return made if self.choice is None else [*made, _settings(self.choice)]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each suite, curve, task and seed."""
        return [
            {**{key: row[key] for key in ("suite", "curve", "setting")}, "task": task, "seed": seed, "aurac": value}
            for row in self.found
            for task, values in row["aurac"].items()
            for seed, value in zip(row["seeds"], values, strict=True)
        ]

    def content(self) -> dict[str, Any]:
        """Return the study's name, the rows, and what was chosen from which numbers."""
        return {"study": self.title, "rows": list(self.found), "choice": self.choice}


def _settings(choice: Mapping[str, Any]) -> Table:
    """Return the score of every setting of every curve, in the order of the grid: score against learning rate."""
    return Table(
        title=f"Every setting, {_deciding(choice)}, {choice['suite']}",
        columns=("curve", "setting", "macro", "chosen"),
        rows=tuple(
            (
                TableCell(name),
                TableCell(setting),
                TableCell(
                    MISSING if numbers is None else value_text(numbers["macro"], 0.01), bold=setting == about["chosen"]
                ),
                TableCell("yes" if setting == about["chosen"] else ""),
            )
            for name, about in choice["curves"].items()
            for setting, numbers in about["candidates"].items()
        ),
    )


def _deciding(choice: Mapping[str, Any] | None) -> str:
    """Return which seeds decided, "the first seed" where that is not known."""
    if choice is None:
        return "the first seed"
    return f"seed {choice['seed']}" if "seed" in choice else f"seeds {', '.join(map(str, choice['seeds']))}"


def _table(title: str, found: list[Mapping[str, Any]], chosen_on: str) -> Table:
    tasks = [name for name in found[0]["aurac"] if name != "macro"]
    regret = any(row["regret"] is not None for row in found)
    ordered = sorted(found, key=lambda row: statistics.fmean(row["aurac"]["macro"]), reverse=True)
    return Table(
        title=f"{title}, {found[0]['suite']}",
        columns=("curve", "setting", "seeds", "macro", *tasks, *(["regret"] if regret else [])),
        rows=tuple(
            tuple(
                TableCell(text)
                for text in (
                    row["curve"],
                    row["setting"],
                    str(len(row["seeds"])),
                    _mean(row["aurac"]["macro"]),
                    *(_mean(row["aurac"][task]) for task in tasks),
                    *([_regret_text(row)] if regret else []),
                )
            )
            for row in ordered
        ),
        notes=(
            "AURAC (log2 axis, trapezoid) in points: mean ± standard deviation over the seeds of the training. "
            + chosen_on,
            *([_REGRET] if regret else []),
        ),
    )


def _chosen_on(deciding: str, selection: str | None) -> str:
    if selection is None:
        return f"Settings were chosen with {deciding} on these documents, which makes those scores optimistic."
    return f"Settings were chosen with {deciding} on {selection}, whose documents are not scored here."


_REGRET = f"Regret: macro AURAC of {GRID}, one LoRA trained for every rank, minus that of the curve, seed by seed."


def _regret_text(row: Mapping[str, Any]) -> str:
    return MISSING if row["regret"] is None or row["curve"] == GRID else _mean(row["regret"])


def _by_suite(found: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    names = dict.fromkeys(row["suite"] for row in found)
    return [[row for row in found if row["suite"] == name] for name in names]


def _regret(seeds: Mapping[int, Mapping[str, float]], grid: Mapping[int, Mapping[str, float]]) -> list[float] | None:
    common = [seed for seed in seeds if seed in grid]
    return [grid[seed]["macro"] - seeds[seed]["macro"] for seed in common] or None


def _mean(values: Sequence[float]) -> str:
    if len(values) < 2:
        return value_text(values[0], 0.01)
    spread = statistics.stdev(values)
    return f"{value_text(statistics.fmean(values), 0.01)} ± {value_text(spread, 0.01)}"


def _copy(source: Path, target: Path) -> None:
    write_atomically(target, lambda path: shutil.copyfile(source, path))
