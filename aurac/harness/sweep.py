"""The sweep: every task at every rank, cell by cell, from where the record left off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from typing import Any, Protocol

from lm_eval.api.model import LM, CacheHook, CachingLM
from tqdm import tqdm

from aurac.errors import AuracError, RankError, RefusedError
from aurac.harness.draws import measure_cell
from aurac.harness.engine.batches import is_out_of_memory
from aurac.harness.engine.processes import FailedElsewhereError, together
from aurac.harness.judge import failed_cell
from aurac.harness.quiet import answering
from aurac.harness.suite import Suite
from aurac.results import Cell, RunRecord
from aurac.results.curves import BASE_RANK


class RankedAdapter(Protocol):
    """What the harness knows of an adapter."""

    @property
    def max_rank(self) -> int:
        """The rank of the whole adapter."""

    def set_rank(self, rank: int) -> None:
        """Be rank `rank` from now on, 1 <= rank <= max_rank."""

    def set_base(self) -> None:
        """Be the base model without the adapter from now on; asked for only where rank 0 is measured."""


def check_ranks(ranks: Sequence[int], max_rank: int) -> tuple[int, ...]:
    """Return the ranks sorted, each once, or raise `RankError` for one that the adapter does not have."""
    if len(ranks) == 0:
        raise RankError(f"no ranks given. Give ranks from 1 to {max_rank}.")
    for rank in ranks:
        if isinstance(rank, bool) or not hasattr(rank, "__index__"):
            raise RankError(f"rank {rank!r} is no whole number; ranks count columns of the adapter. Correct it.")
        if not 1 <= rank <= max_rank:
            raise RankError(f"rank {rank} is outside 1..{max_rank}, the ranks of this adapter. Leave it out.")
    return tuple(sorted({index(rank) for rank in ranks}))


def pending_cells(suite: Suite, ranks: Sequence[int], record: RunRecord) -> list[tuple[str, int]]:
    """Return (task, rank) of the cells that the record does not have; ranks outermost, so that each is set once."""
    return [(task, rank) for rank in ranks for task in suite.leaves if not record.has(task, rank)]


def measure_cells(
    lm: LM,
    adapter: RankedAdapter,
    suite: Suite,
    cells: Sequence[tuple[str, int]],
    keep: Callable[[Cell], None],
    *,
    ranks: Sequence[int],
    progress: bool,
) -> None:
    """Measure cells one by one, and hand each to `keep`; several processes that share the work call this alike.

    Args:
        lm: The model that answers.
        adapter: Sets the rank.
        suite: The tasks.
        cells: (task, rank) of what is left to measure.
        keep: Called with each cell as soon as it is known.
        ranks: All ranks of the sweep, whose finished cells the bar counts as done; none, to count these cells alone.
        progress: Whether to show the bar.

    Whatever a cell raises, be it the task's code, the model's, or memory that runs out for the smallest batch, becomes
    a failed cell with its reason, and the next one is measured.

    Raises:
        RefusedError: If the model caches answers: lm-eval's cache does not know the rank and would return another's.
    """
    if isinstance(lm, CachingLM):
        raise RefusedError(
            "lm-eval's use_cache does not know the rank and would answer for every rank what the first one answered. "
            "Use the model without it; a sweep resumes from its own record."
        )
    lacking = sum(suite.leaves[task].n_requests for task, _ in cells)
    total = max(lacking, len(ranks) * sum(leaf.n_requests for leaf in suite.leaves.values()))
    done = total - lacking
    with tqdm(total=total, initial=done, unit="request", disable=not progress, smoothing=0.05) as bar, answering(bar):
        current = None
        point = getattr(adapter, "point", "rank")
        for task, rank in cells:
            leaf = suite.leaves[task]
            bar.set_description(f"{task}, base model" if rank == BASE_RANK else f"{task}, {point} {rank}")
            started, setting = time.perf_counter(), 0.0
            try:
                with together(), _counting(lm, bar):
                    if rank != current:
                        current = None
                        adapter.set_base() if rank == BASE_RANK else adapter.set_rank(rank)
                        current, setting = rank, time.perf_counter() - started
                    cell = measure_cell(lm, leaf, rank)
            except Exception as error:  # other people's code, and all that a machine lacks
                cell = failed_cell(task, rank, time.perf_counter() - started, reason_of(error))
            if hasattr(lm, "reset_work"):
                cell = replace(cell, work=lm.reset_work().to_dict() | {"rank_seconds": setting})
            keep(cell)
            done += leaf.n_requests
            bar.update(done - bar.n)


@contextmanager
def _counting(lm: LM, bar: Any) -> Iterator[None]:
    """Advance the bar with each answer: models report them to their cache hook, one by one."""
    lm.set_cache_hook(_ProgressHook(bar))
    try:
        yield
    finally:
        lm.set_cache_hook(CacheHook(None))


def reason_of(error: Exception) -> str:
    """Return one line on why a cell failed, with a remedy where there is one."""
    if isinstance(error, (AuracError, FailedElsewhereError)):
        return str(error)
    cause = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    if is_out_of_memory(error):
        return (
            f"out of memory: {cause}. The same command tries again, with a smaller --batch-size or on a device with "
            "more memory."
        )
    return f"{type(error).__name__}: {cause}"


class _ProgressHook(CacheHook):  # type: ignore[misc]
    def __init__(self, bar: Any) -> None:
        super().__init__(None)
        self._bar = bar

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        self._bar.update()
