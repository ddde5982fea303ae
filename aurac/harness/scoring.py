"""`score_adapter`: a suite at the ranks of an adapter, into a record, and the record back as curves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM

from aurac.harness.clock import Clock
from aurac.harness.engine.processes import Processes, current_processes
from aurac.harness.identity import hardware, versions
from aurac.harness.part_order import Wanted, headlines
from aurac.harness.part_sweep import PartSweep
from aurac.harness.suite import Suite
from aurac.harness.sweep import RankedAdapter, check_ranks, measure_cells, pending_cells
from aurac.harness.units import Answered, Unit, measure_units
from aurac.ranks import default_ranks
from aurac.results import Run, RunRecord, load
from aurac.results.curves import BASE_RANK

Cells = list[tuple[str, int]]


def run_identity(
    suite: Suite,
    *,
    adapter: Mapping[str, Any],
    base: Mapping[str, Any],
    dtype: str,
    engine: str,
    max_length: int | None = None,
    tokenizer: str | None = None,
    wanted: Wanted | None = None,
) -> dict[str, Any]:
    """Return what changes the numbers of every cell of a run; two runs that differ in it never share a folder.

    Args:
        suite: Gives the limit, the seed of the draw of examples or of several, and how prompts are wrapped.
        adapter: At least sha256, method and max_rank; what the adapter's folder says of scaling and inference rule.
        base: From `aurac.harness.identity.base_identity`.
        dtype: Of the weights, resolved.
        engine: A name in `aurac.harness.ENGINES`.
        max_length: Tokens that the model reads, where it was asked for.
        tokenizer: Hash of a tokenizer that is not the base model's.
        wanted: What decides how many documents are asked, where not all are.
    """
    seeds = (
        {"fewshot_seeds": list(suite.fewshot_seeds)} if suite.fewshot_seeds else {"fewshot_seed": suite.fewshot_seed}
    )
    drawn = {**seeds, "limit": suite.limit, **suite.chat.identity()}
    others = {"max_length": max_length, "tokenizer_sha256": tokenizer, **({} if wanted is None else asdict(wanted))}
    asked = {name: value for name, value in others.items() if value is not None}
    return {"adapter": dict(adapter), "base": dict(base), "dtype": dtype, "engine": engine, **drawn, **asked}


def score_adapter(
    open_model: Callable[[], tuple[LM, RankedAdapter]],
    suite: Suite,
    *,
    out: str | Path,
    identity: Mapping[str, Any],
    ranks: Sequence[int] | None = None,
    with_base: bool = False,
    progress: bool = True,
    wanted: Wanted | None = None,
    budgets: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    answer: Callable[[Sequence[Unit]], Iterator[Answered]] | None = None,
    began: float | None = None,
) -> Run | None:
    """Measure what the record in `out` lacks, cell by cell, and return the record.

    Started in several processes (`start_processes`), they share the documents of every cell: the first one writes the
    record and returns it, the others return None.

    Args:
        open_model: Returns the model and its adapter; not called where nothing is left to measure. If it raises, a
            folder that was made for this call is removed again.
        suite: The tasks.
        out: Folder of the record; made, extended or resumed.
        identity: From `run_identity`.
        ranks: Ranks, from 1; by default the powers of two up to the maximal rank, and that rank.
        with_base: Whether to measure the base model without its adapter too, after all ranks.
        progress: Whether to show a bar on standard error, and what was measured already.
        wanted: What decides how many documents of each task are asked; all, where it is None. For one process.
        about: What else the record is to say of the adapter: its parameters at each rank, what its training took.
        budgets: Where `ranks` are budgets of parameters: budget -> what the adapter is at it, for the record.
        answer: Has units of the sweep answered elsewhere, in any order; None to open the model here.
        began: `time.perf_counter()` when the call began that this is a part of, for the record's `timings`.

    Raises:
        RankError: If a rank is outside those of the adapter.
        RecordError: If `out` holds another run, or the same tasks with other prompts.
        TaskError: If a task cannot be asked in part.
    """
    if wanted is not None:
        headlines(suite, wanted)
    adapter_is = identity["adapter"]
    max_rank = int(adapter_is["parameters" if adapter_is.get("unit") == "parameters" else "max_rank"])
    chosen = default_ranks(max_rank) if ranks is None else check_ranks(ranks, max_rank)
    # Last: whatever a model decides when it is first asked, it decides with the adapter.
    chosen = (*chosen, BASE_RANK) if with_base else chosen
    processes = current_processes()
    if processes.index > 0:
        first: Cells = []
        if cells := processes.gather(first)[0]:
            lm, adapter = open_model()
            measure_cells(lm, adapter, suite, cells, lambda _: None, ranks=chosen, progress=False)
        return None
    with _telling(processes) as tell, RunRecord(out, identity) as record, ExitStack() as stack:
        record.extend(**suite.to_record(), ranks=chosen)
        if said := {**(about or {}), **({"budgets": budgets} if budgets else {})}:
            record.note(**{name: _extended(record.noted(name), value) for name, value in said.items()})
        cells = pending_cells(suite, chosen, record)
        tell(cells)
        total = len(chosen) * len(suite.leaves)
        if progress and len(cells) < total:
            print(f"{out}: {total - len(cells)} of {total} cells are measured already", file=sys.stderr)

        @cache
        def opened() -> tuple[LM, RankedAdapter]:
            clock = Clock(suite.seconds, began=began, earlier=record.noted("timings"), processes=processes.count)
            lm, adapter = open_model()
            stack.enter_context(_closing(lm))
            clock.opened(getattr(lm, "device", None))
            stack.callback(lambda: record.note(timings=clock.timings()))
            record.note(**facts_of(lm, adapter, clock.timings()))
            return lm, adapter

        if wanted is not None:
            PartSweep(opened, suite, record, chosen, wanted, progress).run()
        elif cells and answer is not None:
            measure_units(
                answer, suite, cells, record.add, lambda about: record.note(**about), ranks=chosen, progress=progress
            )
        elif cells:
            measure_cells(*opened(), suite, cells, record.add, ranks=chosen, progress=progress)
    return load(out)


def _extended(before: Any, value: Any) -> Any:
    """Return what a record is to say now: of more ranks or budgets than before, all of them."""
    return {**(before or {}), **value} if isinstance(value, Mapping) else value


def facts_of(lm: LM, adapter: RankedAdapter, timings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says of who answered."""
    return {
        "versions": versions(),
        "hardware": hardware(getattr(lm, "device", None)),
        "timings": dict(timings),
        "merged": getattr(adapter, "merged", False),
        **({"engine": lm.about()} if hasattr(lm, "about") else {}),
    }


@contextmanager
def _closing(lm: LM) -> Iterator[None]:
    """Let the model end what it began, such as ranks loaded into a server; also where a sweep is broken off."""
    try:
        yield
    finally:
        if hasattr(lm, "close"):
            lm.close()


@contextmanager
def _telling(processes: Processes) -> Iterator[Callable[[Cells], None]]:
    """Yield what tells the other processes which cells to measure: none, if this one fails before it knows."""
    told = False

    def tell(cells: Cells) -> None:
        nonlocal told
        told = True
        processes.gather(cells)

    try:
        yield tell
    except BaseException:
        if not told:
            processes.gather([])
        raise
