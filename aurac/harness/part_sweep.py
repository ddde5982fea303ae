"""A sweep that asks a part of the documents: step by step, cells that grow, from where the record left off."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lm_eval.api.model import LM

from aurac.harness.engine.work import Work
from aurac.harness.part_order import Headline, Wanted, headlines
from aurac.harness.part_steps import Step, next_step
from aurac.harness.per_document import corpus_value
from aurac.harness.suite import Leaf, Suite
from aurac.harness.sweep import RankedAdapter, measure_cells
from aurac.results import Cell, RunRecord
from aurac.results.cells import DONE, MEASURED, PART, PILOT, Key, StoredCell
from aurac.results.columns import Column
from aurac.results.tables import DOCUMENT_COLUMNS


@dataclass
class PartSweep:
    """A sweep into an open record.

    Attributes:
        opened: Returns the model and its adapter; loads them when first called.
        suite: The tasks.
        record: Open for writing, with the plan of the sweep.
        ranks: All ranks, the base model's among them where it is measured.
        wanted: What decides how many documents are asked.
        progress: Whether to show bars, and what was decided, on standard error.
    """

    opened: Callable[[], tuple[LM, RankedAdapter]]
    suite: Suite
    record: RunRecord
    ranks: Sequence[int]
    wanted: Wanted
    progress: bool

    def run(self) -> None:
        """Ask until nothing is wanted that was not asked; a task with a cell that failed goes no further."""
        of_task = headlines(self.suite, self.wanted)
        failed: set[Key] = set()
        while True:
            cells = self.record.cells()
            steps = {name: self._step(name, of_task[name], cells) for name in self.suite.leaves}
            self._decide(steps)
            work = [w for w in self._work(steps, cells) if w[:2] not in failed]
            if not work:
                return
            for leaves, keys in _batches(self.suite, work):
                failed |= self._measure(leaves, keys, steps, cells)

    def _step(self, name: str, headline: Headline, cells: Mapping[Key, StoredCell]) -> Step:
        known = {}
        for rank in self.ranks:
            cell = cells.get((name, rank))
            if cell is not None and cell.entry["status"] in MEASURED:
                column = Column.of(cell.rows, headline.metric, headline.filter)
                if column.values is not None:
                    known[rank] = dict(zip(column.ids, column.values.tolist(), strict=True))
        return next_step(
            self.suite.leaves[name], headline, self.wanted, self.ranks, known, self.record.parts().get(name)
        )

    def _decide(self, steps: Mapping[str, Step]) -> None:
        """Write what was decided, and say it where it is new."""
        old = self.record.parts()
        new = {name: dict(step.state) for name, step in steps.items()}
        if new == {name: old.get(name) for name in new}:
            return
        self.record.note(parts={**old, **new})
        for name, state in new.items():
            before = old.get(name) or {}
            if self.progress and (said := _said(state)) and said != _said(before):
                print(f"{name}: {said}", file=sys.stderr)

    def _work(
        self, steps: Mapping[str, Step], cells: Mapping[Key, StoredCell]
    ) -> Iterator[tuple[str, int, frozenset[int]]]:
        """Yield task, rank and documents of what is lacking, ranks outermost, so that each is set once.

        A task that is scored whole is asked as if nothing was known of it, so that its record is that of a sweep
        without parts to the last bit: what is computed together with a document moves its last digits.
        """
        for rank in self.ranks:
            for name, step in steps.items():
                if rank not in step.documents:
                    continue
                cell, documents = cells.get((name, rank)), step.documents[rank]
                status = None if cell is None else cell.entry["status"]
                known = _ids(cell) if cell is not None and status in (PART, PILOT) else frozenset()
                if status == DONE or (documents <= known and (status == PART or not step.final)):
                    continue
                whole = len(documents) == len(self.suite.leaves[name].documents)
                yield name, rank, documents if whole else documents - known

    def _measure(
        self,
        leaves: Mapping[str, Leaf],
        keys: Sequence[Key],
        steps: Mapping[str, Step],
        cells: Mapping[Key, StoredCell],
    ) -> set[Key]:
        failed: set[Key] = set()

        def keep(cell: Cell) -> None:
            key = cell.task, cell.rank
            if cell.error:
                failed.add(key)
                self.record.add(cell)
                return
            whole = len(leaves[cell.task].documents) == len(self.suite.leaves[cell.task].documents)
            status = DONE if whole else PART if steps[cell.task].final else PILOT
            old = cells.get(key)
            grown = old is not None and old.entry["status"] in (PART, PILOT) and not whole
            merged = merge(old, cell, self.suite.leaves[cell.task]) if grown and old is not None else cell
            if not whole and not grown:
                merged = merge(None, cell, self.suite.leaves[cell.task])
            self.record.add(replace(merged, status=status))

        now = [key for key in keys if leaves[key[0]].documents]
        for key in keys:  # a pilot that is enough
            if key not in now:
                keep(Cell(*key, 0.0, {}, {name: [] for name in DOCUMENT_COLUMNS}))
        if now:
            lm, adapter = self.opened()
            suite = replace(self.suite, leaves={name: leaves[name] for name in dict.fromkeys(n for n, _ in now)})
            measure_cells(lm, adapter, suite, now, keep, ranks=(), progress=self.progress)
        return failed


def merge(old: StoredCell | None, new: Cell, leaf: Leaf) -> Cell:
    """Return one cell of the documents of both, with those metrics that follow from documents.

    Args:
        old: What was known; None where nothing was.
        new: Other documents of the same task at the same rank.
        leaf: The task, which knows how its metrics are aggregated.
    """
    rows = {name: [*([] if old is None else old.rows[name].to_pylist()), *new.columns[name]] for name in new.columns}
    parts: dict[tuple[str, str], list[Any]] = {}
    for metric, filter_name, score, weight in zip(
        rows["metric"], rows["filter"], rows["score"], rows["weight"], strict=True
    ):
        parts.setdefault((metric, filter_name), []).append((score, weight))
    values = {
        key: corpus_value(leaf.metrics.get(key[0], {"aggregation": "mean"})["aggregation"], found)
        for key, found in parts.items()
    }
    kept = [k for k, key in enumerate(zip(rows["metric"], rows["filter"], strict=True)) if values[key] is not None]
    columns = {name: [column[k] for k in kept] for name, column in rows.items()}
    metrics = {f"{metric},{name}": value for (metric, name), value in values.items() if value is not None}
    before: Mapping[str, Any] = {} if old is None else old.entry
    seconds = (before.get("seconds") or 0.0) + (new.seconds or 0.0)
    return replace(new, seconds=seconds, metrics=metrics, columns=columns, work=added(before.get("work"), new.work))


def added(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return what two calls did together: counts are summed, and the engine's ratios and limits follow its own rules.

    Args:
        a: Work report of a cell, as the record has it; None where nothing was reported.
        b: That of a later call. Of what is no number, its value stays.
    """
    if not a or not b:
        return a or b
    of_engine: dict[str, Any] = {}
    if "padding_share" in a and "padding_share" in b:
        names = [entry.name for entry in fields(Work)]
        both, more = (Work(**{name: said[name] for name in names if name in said}) for said in (a, b))
        both.add(more)
        of_engine = both.to_dict()
    rest = [key for key in {**a, **b} if key not in of_engine]
    return {key: _sum(a.get(key), b.get(key)) for key in rest} | of_engine


def _sum(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return a if b is None else b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return {key: _sum(a.get(key), b.get(key)) for key in {**a, **b}}
    counts = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (a, b))
    return a + b if counts else b


def _ids(cell: StoredCell) -> frozenset[int]:
    return frozenset(cell.rows["doc_id"].to_pylist())


def _batches(
    suite: Suite, work: Sequence[tuple[str, int, frozenset[int]]]
) -> Iterator[tuple[dict[str, Leaf], list[Key]]]:
    """Yield tasks cut to their documents, and the cells that want just those; mostly one batch."""
    left = list(work)
    while left:
        documents: dict[str, frozenset[int]] = {}
        for name, _, ids in left:
            documents.setdefault(name, ids)
        now = [w for w in left if w[2] == documents[w[0]]]
        left = [w for w in left if w[2] != documents[w[0]]]
        yield {name: _cut(suite.leaves[name], ids) for name, ids in documents.items()}, [w[:2] for w in now]


def _cut(leaf: Leaf, ids: frozenset[int]) -> Leaf:
    return leaf if len(ids) == len(leaf.documents) else leaf.part(ids)


def _said(state: Mapping[str, Any]) -> str:
    """Say what was decided; nothing where it is not yet."""
    if "whole" in state:
        return f"scored whole: {state['whole']}"
    if "asked" in state:
        n, total = state["asked"], state["of"]
        return f"{n} of {total} documents ({100 * n / total:.0f} %) for ±{state['precision']:g} points"
    if "audited" in state:
        n, total = sum(state["audited"]), state["of"]
        return f"{total} documents at rank {state['anchor']}, {n} of them ({100 * n / total:.0f} %) at the other ranks"
    return ""
