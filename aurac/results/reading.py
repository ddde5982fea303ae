"""`load`: a run record from disk, as curves."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError, CurveError, RecordError, UnknownNameError
from aurac.results.cells import PILOT
from aurac.results.curves import Content, NoCurveError
from aurac.results.damage import refuse
from aurac.results.files import NESTED, NESTED_BUDGETS, RUN_JSON, find_record, read_run_json
from aurac.results.stored import read_cells

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Run:
    """One adapter's sweep.

    Attributes:
        name: What tables call it: the folder's name, or the adapter folder's where the record lies inside it.
        path: Folder of the record; None for a run that was never on disk.
        record: `run.json` as read.
        curves: Name as asked ("arc", "mmlu") -> curve of its headline metric.
        problems: Name as asked -> why it has no curve, such as a cell that failed.
        seeds: Runs that this one stands for, where it is a method that was trained several times; its curves are then
            their means (`aurac.compare(..., by="method")`).
    """

    name: str
    path: Path | None
    record: Mapping[str, Any]
    curves: Mapping[str, RankAccuracyCurve]
    problems: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[Run, ...] = ()
    _content: Content | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return one line; the record, thousands of lines for some suites, is in `record`."""
        seeds = f", seeds={len(self.seeds)}" if self.seeds else ""
        return f"Run({self.name!r}, tasks={self.tasks}, ranks={self.ranks}{seeds})"

    def to_frame(self) -> pd.DataFrame:
        """Return the curves as a long DataFrame: run, task, metric, rank, accuracy (a fraction), n_documents."""
        import pandas as pd

        columns = ("run", "task", "metric", "rank", "accuracy", "n_documents")
        rows = [
            (self.name, task, curve.metric, rank, float(accuracy), curve.n_documents)
            for task, curve in self.curves.items()
            for rank, accuracy in zip(curve.ranks, curve.accuracies, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(columns))

    def _repr_html_(self) -> str:
        """Return the accuracies, a row a task and a column a rank, for notebooks."""
        table = self.to_frame().pivot(index="task", columns="rank", values="accuracy").loc[list(self.tasks)]
        return f"<p>{html.escape(repr(self))}</p>{table.to_html(float_format='{:.4f}'.format, na_rep='')}"

    @property
    def method(self) -> str:
        """Method of the adapter, as its folder says."""
        return str(self.record.get("identity", {}).get("adapter", {}).get("method", "unknown"))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names that have a curve, in the order in which they were asked for."""
        return tuple(self.curves)

    @property
    def ranks(self) -> tuple[int, ...]:
        """All measured ranks."""
        return tuple(sorted({rank for curve in self.curves.values() for rank in curve.ranks}))

    @property
    def failures(self) -> tuple[Mapping[str, Any], ...]:
        """Cells that failed: dictionaries with task, rank and error."""
        return self._with_status("failed")

    @property
    def pending(self) -> tuple[Mapping[str, Any], ...]:
        """Cells that were planned but not measured yet, or not all of it: dictionaries with task and rank."""
        return self._with_status("pending", PILOT)

    def curve(self, task: str, metric: str | None = None) -> RankAccuracyCurve:
        """Return the curve of a task.

        Args:
            task: A name as asked, or lm-eval's name of any recorded task or group ("mmlu_anatomy"); also with a metric
                behind a colon ("arc:gold_nll"), as `aurac score --tasks` takes it.
            metric: Any recorded metric, such as "acc" or "exact_match:flexible-extract" (metric and filter); by
                default the headline one.

        Raises:
            UnknownNameError: For another task, metric or filter; the message has the near names.
            RecordError: If the task has no curve, because a cell failed or none was measured.
        """
        if metric is None and task in self.curves:
            return self.curves[task]
        asked = self.record.get("asked", {})
        names = {*self.curves, *asked, *self.record.get("tasks", {}), *self.record.get("groups", {})}
        if metric is None and task not in names and task.partition(":")[0] in names:
            task, _, metric = task.partition(":")
        if task not in names:
            raise UnknownNameError("task", task, names, of=f"in run {self.name!r}")
        if self._content is None:
            raise RecordError(f"run {self.name!r} has no documents on disk, so only its headline curves are known.")
        wanted = asked.get(task, {"task": task})
        if metric is None:
            return self._content.curve(wanted["task"], wanted.get("metric"), wanted.get("filter"), name=self.name)
        name, _, filter_name = metric.partition(":")
        return self._content.curve(wanted["task"], name, filter_name or None, name=self.name)

    def with_metrics(self, tasks: Sequence[str]) -> Run:
        """Return the run with a curve more for each name that has a metric behind a colon, such as "arc:gold_nll".

        Raises:
            UnknownNameError: If a task has no such metric.
        """
        named = {name: self.curve(name) for name in tasks if ":" in name and name not in self.curves}
        return replace(self, curves={**self.curves, **named}) if named else self

    def _with_status(self, *status: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(entry for entry in self.record.get("cells", ()) if entry.get("status") in status)


def load(path: str | PathLike[str]) -> Run:
    """Read a run record; also one whose sweep still runs or was interrupted, as far as it got.

    Args:
        path: Folder of the record, or of an adapter that was scored into its own folder (`aurac-run` inside it).

    Raises:
        RecordError: If there is none, or it is damaged; the message names the file and the cell.
    """
    if not str(path):
        raise RecordError("the path of the record is empty. Give a folder that `aurac score` wrote.")
    folder = find_record(Path(path))
    run = read_run_json(folder)
    curves: dict[str, RankAccuracyCurve] = {}
    problems: dict[str, str] = {}
    name = _name(folder)
    try:
        stored = read_cells(folder, run["cells"])
        refuse(stored.damage)
        cells = stored.cells
        run["cells"] = [cells[key].entry if (key := (e["task"], e["rank"])) in cells else e for e in run["cells"]]
        content = Content(run, {key: c for key, c in cells.items() if c.entry["status"] != PILOT}, str(folder))
        for asked, wanted in run["asked"].items():
            try:
                curves[asked] = content.curve(wanted["task"], wanted.get("metric"), wanted.get("filter"), name=name)
            except (NoCurveError, CurveError, UnknownNameError) as error:
                problems[asked] = str(error)
    except AuracError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise RecordError(f"{folder / RUN_JSON} is damaged: {type(exc).__name__} {exc}. Score again.") from exc
    return Run(name, folder, run, curves, problems, _content=content)


def _name(folder: Path) -> str:
    folder = folder.resolve()
    return folder.parent.name if folder.name in (NESTED, NESTED_BUDGETS) else folder.name
