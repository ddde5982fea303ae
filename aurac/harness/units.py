"""A sweep that is answered elsewhere: cells, and ranges of the documents of large tasks, go out, answers come back.

Whoever answers holds the model and the same prompts; what the answers make is judged in one place, as for one process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from lm_eval.api.model import LM
from tqdm import tqdm

from aurac.errors import ExecutorError
from aurac.harness.generators import evaluation_seeds
from aurac.harness.judge import Answers, ask, failed_cell, judge
from aurac.harness.suite import Leaf, Suite
from aurac.harness.sweep import RankedAdapter, reason_of
from aurac.results import Cell
from aurac.results.curves import BASE_RANK

MOST_DOCUMENTS = 1000
"""Documents of a unit at most; the prefixes that a task's prompts share are forwarded once for each unit."""


@dataclass(frozen=True)
class Unit:
    """What is answered at once: a task at a rank, or some of its documents.

    Attributes:
        task: Name of the (leaf) task.
        rank: Rank, 0 for the base model.
        documents: lm-eval's numbers of its documents; None for all.
        requests: The hash of all that the task asks, so that nobody answers other prompts.
    """

    task: str
    rank: int
    documents: tuple[int, ...] | None
    requests: str


@dataclass(frozen=True)
class Answered:
    """A unit with its answers, or why there are none.

    Attributes:
        unit: The unit.
        seconds: Wall-clock seconds that it took.
        answers: The answers.
        work: What the engine did for them, where it counts that.
        error: Why there are no answers.
        refused: Whether that holds for every unit: the model cannot be opened, or has other prompts.
        about: What the record says of whoever answered.
    """

    unit: Unit
    seconds: float
    answers: Answers | None = None
    work: Any = None
    error: str | None = None
    refused: bool = False
    about: dict[str, Any] = field(default_factory=dict)


class Answerer:
    """Answers units with a model that it opens for the first one.

    Args:
        open_all: Returns suite, model, what sets the rank, and what the record is to say of them.
    """

    def __init__(self, open_all: Callable[[], tuple[Suite, LM, RankedAdapter, dict[str, Any]]]) -> None:
        """Open nothing yet."""
        self._open = open_all
        self._opened: tuple[Suite, LM, RankedAdapter, dict[str, Any]] | None = None
        self._rank: int | None = None

    def answer(self, unit: Unit) -> Answered:
        """Return the answers; whatever goes wrong is said in them, since not every error survives the way back."""
        started = time.perf_counter()
        refused = True
        try:
            suite, lm, adapter, about = self._opened = self._opened or self._open()
            leaf = suite.leaves[unit.task]
            if leaf.to_record()["requests_sha256"] != unit.requests:
                raise ExecutorError(
                    f"a worker builds other prompts of {unit.task}: its packages or data are others. Give all machines "
                    "the same environment."
                )
            refused = False
            self._set(adapter, unit.rank)
            with evaluation_seeds():
                answers = ask(lm, leaf if unit.documents is None else leaf.part(set(unit.documents)))
            work = lm.reset_work() if hasattr(lm, "reset_work") else None
            return Answered(unit, time.perf_counter() - started, answers, work, about=about)
        except Exception as error:  # other people's code, and all that a machine lacks
            return Answered(unit, time.perf_counter() - started, error=reason_of(error), refused=refused)

    def _set(self, adapter: RankedAdapter, rank: int) -> None:
        if rank != self._rank:
            self._rank = None
            adapter.set_base() if rank == BASE_RANK else adapter.set_rank(rank)
            self._rank = rank


def units_of(suite: Suite, cells: Sequence[tuple[str, int]]) -> list[Unit]:
    """Return what is to be answered for these cells, in their order."""
    parts = {name: _parts(suite.leaves[name]) for name in dict.fromkeys(task for task, _ in cells)}
    hashes = {name: suite.leaves[name].to_record()["requests_sha256"] for name in parts}
    return [Unit(task, rank, part, hashes[task]) for task, rank in cells for part in parts[task]]


def _parts(leaf: Leaf) -> list[tuple[int, ...] | None]:
    """Return the documents in ranges of about the same size, or the task as a whole.

    Texts that are drawn follow one another in one stream of random numbers, so that they stay together.
    """
    ids = [document.doc_id for document in leaf.documents]
    count = -(-len(ids) // MOST_DOCUMENTS)
    if count <= 1 or any(_is_drawn(instance) for instance in leaf.task.instances):
        return [None]
    ends = [len(ids) * i // count for i in range(count + 1)]
    return [tuple(ids[a:b]) for a, b in pairwise(ends)]


def _is_drawn(instance: Any) -> bool:
    options = instance.args[1] if instance.request_type == "generate_until" else {}
    return bool(options.get("do_sample") or options.get("temperature") or (instance.repeats or 1) > 1)


def measure_units(
    answer: Callable[[Sequence[Unit]], Iterator[Answered]],
    suite: Suite,
    cells: Sequence[tuple[str, int]],
    keep: Callable[[Cell], None],
    note: Callable[[dict[str, Any]], None],
    *,
    ranks: Sequence[int],
    progress: bool,
) -> None:
    """Measure cells as `aurac.harness.sweep.measure_cells` does, with the answers of others.

    Args:
        answer: From units to their answers, in any order.
        suite: The tasks.
        cells: (task, rank) of what is left to measure.
        keep: Called with each cell as soon as all its answers are there.
        note: Called with what the first answer says of who gave it.
        ranks: All ranks of the sweep, whose finished cells the bar counts as done.
        progress: Whether to show the bar.

    Raises:
        ExecutorError: If a model cannot be opened, or somebody has other prompts.
    """
    units, noted = units_of(suite, cells), False
    waiting = {cell: sum((unit.task, unit.rank) == cell for unit in units) for cell in cells}
    found: dict[tuple[str, int], list[Answered]] = {cell: [] for cell in cells}
    lacking = sum(suite.leaves[task].n_requests for task, _ in cells)
    total = max(lacking, len(ranks) * sum(leaf.n_requests for leaf in suite.leaves.values()))
    with tqdm(total=total, initial=total - lacking, unit="request", disable=not progress, file=sys.stderr) as bar:
        for said in answer(units):
            if said.refused:
                raise ExecutorError(str(said.error))
            if said.about and not noted:
                note(said.about)
                noted = True
            cell = said.unit.task, said.unit.rank
            found[cell].append(said)
            bar.update(0 if said.answers is None else sum(map(len, said.answers.given)))
            if len(found[cell]) == waiting[cell]:
                keep(cell_of(suite.leaves[cell[0]], cell[1], found.pop(cell)))


def cell_of(leaf: Leaf, rank: int, found: Sequence[Answered]) -> Cell:
    """Return the cell of a task from the answers to all its units."""
    seconds = sum(said.seconds for said in found)
    if error := next((said.error for said in found if said.error), None):
        return failed_cell(leaf.name, rank, seconds, error)
    started = time.perf_counter()
    with evaluation_seeds():
        cell = judge(leaf, rank, _joined(leaf, found))
    work = found[0].work
    for said in found[1:]:
        if work is not None:
            work.add(said.work)
    seconds += time.perf_counter() - started
    return replace(cell, seconds=seconds, work=None if work is None else work.to_dict())


def _joined(leaf: Leaf, found: Sequence[Answered]) -> Answers:
    """Put the answers to parts of a task into the order of its instances."""
    given: dict[int, list[Any]] = {}
    broken = False
    for said in found:
        assert said.answers is not None
        part = leaf if said.unit.documents is None else leaf.part(set(said.unit.documents))
        given |= dict(zip(map(id, part.task.instances), said.answers.given, strict=True))
        broken |= said.answers.broken
    return Answers([given[id(instance)] for instance in leaf.task.instances], broken)
