"""Log-likelihoods of a plan: headers, then trunks, then the packed remainders, each distinct prefix once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache

from aurac.harness.engine.batches import Budget, by_length, next_batch, run_batches
from aurac.harness.engine.document import Document
from aurac.harness.engine.forward import Forward, causal_behind, pad_rows
from aurac.harness.engine.header import header_cache
from aurac.harness.engine.kv import new_cache
from aurac.harness.engine.plan import Family, Plan
from aurac.harness.engine.processes import ALONE, Processes

CHUNK_VALUES = 2**25  # entries of a float32 log-softmax held at once
_Found = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]  # slots, log-probabilities, greedy


@dataclass(frozen=True)
class Answers:
    """What is added up while batches come in, one entry per query.

    Attributes:
        total: Sum of the log-probabilities, shape (queries,).
        greedy: Whether every target was the most probable token, shape (queries,).
    """

    total: NDArray[np.float64]
    greedy: NDArray[np.bool_]

    @classmethod
    def empty(cls, queries: int) -> Answers:
        """Start with no token read: log-probability 0, greedy."""
        return cls(np.zeros(queries), np.ones(queries, dtype=np.bool_))

    def __getitem__(self, slot: int) -> tuple[float, bool]:
        """Return the answer of one query, as lm-eval wants it."""
        return float(self.total[slot]), bool(self.greedy[slot])

    def merge(self, other: Answers) -> None:
        """Add the answers of another process."""
        np.add(self.total, other.total, out=self.total)
        np.logical_and(self.greedy, other.greedy, out=self.greedy)


def score(
    plan: Plan,
    forward: Forward,
    *,
    budget: Budget,
    processes: Processes = ALONE,
    progress: Callable[[Answers, list[int]], object] = lambda *_: None,
) -> Answers:
    """Answer the queries of a plan; with several processes, the part of this one.

    Args:
        plan: What to forward.
        forward: The model.
        budget: What a batch may hold.
        processes: Who shares the documents.
        progress: Called after each batch with the answers so far and the query slots that have become final.
    """
    answers = Answers.empty(plan.queries)
    _Scorer(forward, budget, processes, answers, progress).family(plan.root, None)
    return answers


@dataclass(frozen=True)
class _Scorer:
    forward: Forward
    budget: Budget
    processes: Processes
    answers: Answers
    progress: Callable[[Answers, list[int]], object]

    def family(self, family: Family, parent: Cache | None) -> None:
        mine = self.processes.share(by_length(family.documents))
        if not any(self.processes.share(member.documents) for member in family.walk()):
            return
        header = header_cache(family, parent, self.forward) if len(family.header) else parent
        for done in run_batches(
            mine,
            take=lambda rest: next_batch(rest, budget=self.budget, header=family.depth),
            run=lambda batch: self.batch(batch, family.depth, header),
            budget=self.budget,
            work=self.forward.work,
        ):
            self.progress(self.answers, [slot for document in done for slot in document.slots])
        for longer in family.families:
            self.family(longer, header)

    def batch(self, batch: list[Document], depth: int, header: Cache | None) -> None:
        """Forward the trunks, then the remainders behind them, and read the answers."""
        work = self.forward.work
        trunk, branches = (max(len(d.trunk) for d in batch), max(len(d.branches) for d in batch))
        cache = None
        if branches or header is not None:
            cache = new_cache(depth + trunk + branches, header=header, rows=len(batch))
        found: list[_Found] = []
        if trunk:
            with work.phase("context"):
                found.append(self.read(batch, self.trunks(batch, depth, cache), of_trunk=True))
        if branches:
            with work.phase("continuation"):
                found.append(self.read(batch, self.branches(batch, depth, trunk, cache), of_trunk=False))
        # Only now: a batch that ran out of memory half way is run again.
        for slot, log_probability, greedy in found:
            np.add.at(self.answers.total, slot, log_probability)
            np.logical_and.at(self.answers.greedy, slot, greedy)
        work.documents += len(batch)
        work.rows_asked += sum(len(document.rows) for document in batch)

    def trunks(self, batch: list[Document], depth: int, cache: Cache | None) -> torch.Tensor:
        tokens = pad_rows([document.trunk for document in batch])
        width = tokens.shape[1]
        rows = [i * width + d.rows[d.rows < len(d.trunk)] for i, d in enumerate(batch)]
        return self.forward(
            tokens,
            rows=np.concatenate(rows),
            real=sum(len(d.trunk) for d in batch),
            positions=np.arange(depth, depth + width)[None] if depth else None,
            visible=causal_behind(depth, width) if depth else None,
            cache=cache,
        )

    def branches(self, batch: list[Document], depth: int, trunk: int, cache: Cache | None) -> torch.Tensor:
        tokens = pad_rows([document.branches for document in batch])
        width = tokens.shape[1]
        rows = [i * width + d.rows[d.rows >= len(d.trunk)] - len(d.trunk) for i, d in enumerate(batch)]
        visible = np.zeros((len(batch), 1, width, depth + trunk + width), dtype=np.bool_)
        for seen, document in zip(visible[:, 0], batch, strict=True):
            seen[:, : depth + len(document.trunk)] = True
            own = seen[:, depth + trunk :]
            # Padding sees itself: a row that sees nothing would be NaN, and spread through the values.
            np.fill_diagonal(own, True)
            own[: len(document.branches), : len(document.branches)] = document.visible()
        return self.forward(
            tokens,
            rows=np.concatenate(rows),
            real=sum(len(d.branches) for d in batch),
            positions=pad_rows([document.positions for document in batch]),
            visible=torch.from_numpy(visible),
            cache=cache,
        )

    def read(self, batch: list[Document], logits: torch.Tensor, *, of_trunk: bool) -> _Found:
        """Read the targets that are predicted by the logits of the trunks, or of the branches."""
        rows, targets, slots, offset = [], [], [], 0
        for document in batch:
            in_trunk = int((document.rows < len(document.trunk)).sum())
            first, n = (0, in_trunk) if of_trunk else (in_trunk, len(document.rows) - in_trunk)
            chosen = (document.answer_rows >= first) & (document.answer_rows < first + n)
            rows.append(document.answer_rows[chosen] - first + offset)
            targets.append(document.answer_targets[chosen])
            slots.append(document.answer_slots[chosen])
            offset += n
        return np.concatenate(slots), *read_targets(logits, np.concatenate(rows), np.concatenate(targets))


def read_targets(
    logits: torch.Tensor, rows: NDArray[np.int64], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-probability of targets, and whether each is the most probable token; the softmax is float32.

    Args:
        logits: Shape (n, vocabulary).
        rows: Row of each target, ascending, shape (a,); several targets may be read from one row.
        targets: Token ids, shape (a,).

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> read_targets(logits, np.array([0, 1]), np.array([1, 0]))  # log(1/2), log(e/(1+e))
        (array([-0.69314718, -0.31326166]), array([False,  True]))
    """
    found, best = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    step = max(1, CHUNK_VALUES // logits.shape[1])
    for start in range(0, len(logits), step):
        low, high = np.searchsorted(rows, [start, start + step])
        where = torch.from_numpy(rows[low:high] - start).to(logits.device)
        wanted = torch.from_numpy(targets[low:high]).to(logits.device)
        logp = torch.log_softmax(logits[start : start + step], dim=-1, dtype=torch.float32)
        found.append(logp[where, wanted].double().cpu().numpy())
        best.append((logp.argmax(dim=-1)[where] == wanted).cpu().numpy())
    return np.concatenate(found), np.concatenate(best)
