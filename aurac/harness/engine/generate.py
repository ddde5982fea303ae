"""Greedy generation: prompts stream through a batch that stays full, behind a header that is forwarded once.

A finished row makes room for the next prompt (`Slots`), so the batch is full until the last prompts, and a row is
padded by nothing. The texts are those of `HFLM.generate_until` with one prompt at a time: the same stop rule and the
same cutting afterwards (which is HFLM's own function).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from transformers.cache_utils import Cache

from aurac.harness.engine.batches import Budget, is_out_of_memory, next_batch
from aurac.harness.engine.document import Document
from aurac.harness.engine.forward import Forward, causal_behind, pad_rows
from aurac.harness.engine.header import header_cache
from aurac.harness.engine.packing import Row, pack_rows
from aurac.harness.engine.plan import Family, Plan
from aurac.harness.engine.processes import ALONE, Processes
from aurac.harness.engine.slots import Slots
from aurac.harness.engine.stopping import Stop

WIDER = 8  # batches may hold more than for scoring: a step costs much the same for 4 rows as for 16

Progress = Callable[[dict[int, list[int]], list[int]], object]


def generate(
    plan: Plan,
    forward: Forward,
    *,
    stop: Stop,
    budget: Budget,
    processes: Processes = ALONE,
    progress: Progress = lambda *_: None,
) -> dict[int, list[int]]:
    """Generate after every prompt of a plan made with `pack=False`; with several processes, this one's part.

    Args:
        plan: Prompts, as queries whose last position is asked for.
        forward: The model.
        stop: When a row is finished.
        budget: What a batch may hold.
        processes: Who shares the prompts.
        progress: Called with the rows so far and the slots that were finished, as they are.

    Returns:
        Query slot to generated tokens, the one that ended the row included.
    """
    generator = _Generator(forward, stop, budget, processes, {}, progress)
    generator.family(plan.root, None)
    return generator.texts


@dataclass(frozen=True)
class _Generator:
    forward: Forward
    stop: Stop
    budget: Budget
    processes: Processes
    texts: dict[int, list[int]]
    progress: Progress

    def family(self, family: Family, parent: Cache | None) -> None:
        header = header_cache(family, parent, self.forward) if len(family.header) else parent
        left = pack_rows(self.processes.share(family.documents), width=0)
        while left:
            rows = self.rows_at_a_time(left, family.depth)
            columns = family.depth + len(left[0].documents[0].trunk) + self.stop.most
            try:
                _Stream(self, left, family.depth, Slots(rows, columns, header=header)).run()
            except (RuntimeError, MemoryError) as error:
                if rows == 1 or not is_out_of_memory(error):
                    raise
                self.budget.tokens = min(self.budget.tokens, rows * columns)
                self.budget.halve(
                    error, work=self.forward.work, shrinks=partial(self.is_less, left, family.depth, rows)
                )
            left = [row for row in left if row.slots[0] not in self.texts]
        for longer in family.families:
            self.family(longer, header)

    def rows_at_a_time(self, rows: Sequence[Row], depth: int) -> int:
        """Return how many prompts are answered at a time: what memory allows, spread evenly where they are few."""
        tokens = WIDER * self.budget.tokens
        wider = replace(self.budget, tokens=tokens, call=tokens)  # prompts are not padded here
        return len(next_batch(rows, budget=wider, header=depth + self.stop.most))

    def is_less(self, rows: Sequence[Row], depth: int, than: int) -> bool:
        return self.rows_at_a_time(rows, depth) < than

    def keep(self, document: Document, tokens: list[int]) -> None:
        """Write down a finished row."""
        work, slot = self.forward.work, int(document.answer_slots[0])
        self.texts[slot] = tokens
        work.documents += 1
        work.rows_asked += len(tokens)
        work.tokens_generated += len(tokens)
        work.distinct_prefix_tokens += len(tokens) - 1  # the last one is not forwarded
        self.progress(self.texts, [slot])


@dataclass
class _Stream:
    """Prompts on their way through the slots; `active` are the rows in use, in the order of the slots."""

    generator: _Generator
    waiting: Sequence[Row]
    depth: int
    slots: Slots
    active: list[tuple[Document, list[int]]] = field(default_factory=list)
    admitted: int = 0
    finished: list[int] = field(default_factory=list)  # lengths of the texts

    def run(self) -> None:
        """Admit prompts while there is room, and append a token to every row, until nothing is left."""
        phase = self.generator.forward.work.phase
        while self.active or self.admitted < len(self.waiting):
            with phase("context"):
                while self.worth_filling():
                    self.fill()
            with phase("generate"):
                if self.active:
                    self.step()

    def worth_filling(self) -> bool:
        """Tell whether enough rows are free for a call of their own.

        Rows that wait cost room / 2 steps for each text, calls 1 / room: with texts of n tokens both together are least
        at a share of sqrt(2 / n).
        """
        free, waiting = self.slots.rows - len(self.active), len(self.waiting) - self.admitted
        share = math.sqrt(2 / np.mean(self.finished)) if self.finished else 0.0
        return bool(waiting) and free >= max(1, min(waiting, self.slots.rows, math.floor(share * self.slots.rows)))

    def fill(self) -> None:
        """Forward the prompts of some free rows, long ones piece by piece, and choose their first tokens."""
        generator, first = self.generator, len(self.active)
        waiting = self.waiting[self.admitted : self.admitted + self.slots.rows - first]
        documents = [row.documents[0] for row in next_batch(waiting, budget=generator.budget, header=self.depth)]
        rows = slice(first, first + len(documents))
        tokens = pad_rows([document.trunk for document in documents])
        piece = max(1, generator.budget.tokens // len(documents))
        for start in range(0, tokens.shape[1], piece):
            logits = self.prompts(documents, tokens[:, start : start + piece], start, rows)
        self.admitted += len(documents)
        self.active += [(document, []) for document in documents]
        self.append(first, logits)

    def prompts(self, documents: list[Document], tokens: np.ndarray, start: int, rows: slice) -> torch.Tensor:
        before, width = self.depth + start, tokens.shape[1]
        lengths = [len(document.trunk) - start for document in documents]
        last = start + width >= max(len(document.trunk) for document in documents)
        asked = np.array([i * width + length - 1 for i, length in enumerate(lengths)] if last else [], dtype=np.int64)
        return self.generator.forward(
            tokens,
            rows=asked,
            real=sum(min(width, length) for length in lengths),
            positions=np.arange(before, before + width)[None] if before else None,
            visible=causal_behind(before, width) if before else None,
            cache=self.slots.filling(rows, before),
        )

    def step(self) -> None:
        """Forward the last token of each active row, and choose the next one."""
        lengths = [self.depth + len(document.trunk) + len(row) - 1 for document, row in self.active]
        starts = torch.tensor(lengths)
        visible = torch.arange(max(lengths) + 1) <= starts[:, None]
        logits = self.generator.forward(
            np.array([[row[-1]] for _, row in self.active], dtype=np.int32),
            rows=np.arange(len(lengths)),
            real=len(lengths),
            positions=np.array(lengths)[:, None],
            visible=visible[:, None, None],
            cache=self.slots.appending(starts),
        )
        self.generator.forward.work.decode_calls += 1
        self.append(0, logits)

    def append(self, first: int, logits: torch.Tensor) -> None:
        """Append the most probable token to each row from `first` on, and take out those that are finished."""
        rows = [row for _, row in self.active[first:]]
        with self.generator.forward.softmax():
            chosen = logits.float().argmax(dim=-1).tolist()
        for row, token in zip(rows, chosen, strict=True):
            row.append(token)
        ended = self.generator.stop.finished(rows)
        for index in reversed([first + i for i, end in enumerate(ended) if end]):
            self.take_out(index)

    def take_out(self, index: int) -> None:
        """Keep a finished row's text; the last row moves into its place."""
        document, tokens = self.active[index]
        self.generator.keep(document, tokens)
        self.finished.append(len(tokens))
        moved, row = self.active.pop()
        if index < len(self.active):
            self.slots.move(len(self.active), index, self.depth + len(moved.trunk) + len(row))
            self.active[index] = (moved, row)
