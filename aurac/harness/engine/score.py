"""Log-likelihoods of a plan: headers, then the documents behind them, each distinct prefix once.

Short documents are forwarded whole, several in a row under one mask; of long ones the trunk first, and what branches
off in a second call behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache

from aurac.harness.engine.batches import Budget, next_batch, run_batches
from aurac.harness.engine.document import Document
from aurac.harness.engine.forward import Forward, causal_behind, pad_rows
from aurac.harness.engine.header import header_cache
from aurac.harness.engine.kv import new_cache
from aurac.harness.engine.packing import Row, pack_rows
from aurac.harness.engine.plan import Family, Plan
from aurac.harness.engine.processes import ALONE, Processes

# Entries of a float32 log-softmax held at once: on a CPU, what stays in the cache of a core until it is read.
CPU_CHUNK, GPU_CHUNK = 2**19, 2**25
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
        # An integer batch size counts documents, so each is a row.
        width = family.width if self.budget.rows is None else 0
        rows = pack_rows(self.processes.share(family.documents), width=width)
        if not any(self.processes.share(member.documents) for member in family.walk()):
            return
        header = header_cache(family, parent, self.forward) if len(family.header) else parent
        for done in run_batches(
            rows,
            take=lambda rest: next_batch(rest, budget=self.budget, header=family.depth),
            run=lambda batch: self.batch(batch, family.depth, header),
            budget=self.budget,
            work=self.forward.work,
        ):
            self.progress(self.answers, [slot for row in done for slot in row.slots])
        for longer in family.families:
            self.family(longer, header)

    def batch(self, batch: list[Row], depth: int, header: Cache | None) -> None:
        """Forward a batch and read the answers."""
        found = (self.in_two_calls if batch[0].in_two_calls else self.whole)(batch, depth, header)
        # Only now: a batch that ran out of memory half way is run again.
        for slot, log_probability, greedy in found:
            np.add.at(self.answers.total, slot, log_probability)
            np.logical_and.at(self.answers.greedy, slot, greedy)
        work = self.forward.work
        work.documents += sum(len(row.documents) for row in batch)
        work.rows_asked += sum(row.rows_asked for row in batch)

    def whole(self, batch: list[Row], depth: int, header: Cache | None) -> list[_Found]:
        """Forward rows of documents in one call, under a mask where a row is more than one causal sequence."""
        with self.forward.work.phase("document"):
            tokens = pad_rows([row.tokens for row in batch])
            width = tokens.shape[1]
            plain = all(row.causal for row in batch)
            pieces = [piece for i, row in enumerate(batch) for piece in _side_by_side(row, i * width)]
            return [
                self.read(
                    pieces,
                    self.forward(
                        tokens,
                        rows=_asked(pieces),
                        real=sum(row.size for row in batch),
                        positions=_positions(batch, depth, width) if depth or not plain else None,
                        visible=_behind(depth, width, batch)
                        if not plain
                        else causal_behind(depth, width)
                        if depth
                        else None,
                        cache=None if header is None else new_cache(depth + width, header=header, rows=len(batch)),
                    ),
                )
            ]

    def in_two_calls(self, batch: list[Row], depth: int, header: Cache | None) -> list[_Found]:
        """Forward the trunks, then what branches off behind them."""
        documents = [row.documents[0] for row in batch]
        trunk, branches = (max(len(d.trunk) for d in documents), max(len(d.branches) for d in documents))
        cache = new_cache(depth + trunk + branches, header=header, rows=len(batch))
        with self.forward.work.phase("context"):
            found = [self.trunks(documents, depth, cache)]
        with self.forward.work.phase("continuation"):
            found.append(self.branches(documents, depth, trunk, cache))
        return found

    def trunks(self, documents: list[Document], depth: int, cache: Cache) -> _Found:
        tokens = pad_rows([document.trunk for document in documents])
        width = tokens.shape[1]
        pieces = [_Piece(i * width, d, 0, len(d.trunk)) for i, d in enumerate(documents)]
        return self.read(
            pieces,
            self.forward(
                tokens,
                rows=_asked(pieces),
                real=sum(len(d.trunk) for d in documents),
                positions=np.arange(depth, depth + width)[None] if depth else None,
                visible=causal_behind(depth, width) if depth else None,
                cache=cache,
            ),
        )

    def branches(self, documents: list[Document], depth: int, trunk: int, cache: Cache) -> _Found:
        tokens = pad_rows([document.branches for document in documents])
        width = tokens.shape[1]
        pieces = [_Piece(i * width, d, len(d.trunk), d.size) for i, d in enumerate(documents)]
        visible = _nothing_but_itself(len(documents), depth + trunk, width)
        for seen, document in zip(visible, documents, strict=True):
            seen[:, : depth + len(document.trunk)] = True
            own = len(document.branches)
            seen[:own, depth + trunk : depth + trunk + own] = document.visible()
        return self.read(
            pieces,
            self.forward(
                tokens,
                rows=_asked(pieces),
                real=sum(len(d.branches) for d in documents),
                positions=pad_rows([document.positions for document in documents]),
                visible=torch.from_numpy(visible[:, None]),
                cache=cache,
            ),
        )

    def read(self, pieces: list[_Piece], logits: torch.Tensor) -> _Found:
        """Read the targets that are predicted by the logits of some pieces, in their order."""
        rows, targets, slots, before = [], [], [], 0
        for piece in pieces:
            first, last = piece.span
            chosen = (piece.document.answer_rows >= first) & (piece.document.answer_rows < last)
            rows.append(piece.document.answer_rows[chosen] - first + before)
            targets.append(piece.document.answer_targets[chosen])
            slots.append(piece.document.answer_slots[chosen])
            before += last - first
        with self.forward.softmax():
            found = read_targets(logits, np.concatenate(rows), np.concatenate(targets))
        return np.concatenate(slots), *found


@dataclass(frozen=True)
class _Piece:
    """Tokens `start..stop-1` of a document, which begin at `place` in the flattened batch."""

    place: int
    document: Document
    start: int
    stop: int

    @property
    def span(self) -> tuple[int, int]:
        """Which of the document's asked rows lie in the piece, half open."""
        first, last = np.searchsorted(self.document.rows, [self.start, self.stop])
        return int(first), int(last)


def _side_by_side(row: Row, place: int) -> list[_Piece]:
    pieces = []
    for document in row.documents:
        pieces.append(_Piece(place, document, 0, document.size))
        place += document.size
    return pieces


def _asked(pieces: list[_Piece]) -> NDArray[np.int64]:
    """Return where the asked positions of the pieces lie in the flattened batch, ascending."""
    return np.concatenate([p.document.rows[slice(*p.span)] - p.start + p.place for p in pieces])


def _positions(batch: list[Row], depth: int, width: int) -> NDArray[np.int64]:
    """Positions of rows behind a header of `depth` tokens, shape (rows or 1, width)."""
    if all(row.causal for row in batch):
        return np.arange(depth, depth + width)[None]
    return pad_rows([row.positions(depth) for row in batch])


def _behind(depth: int, width: int, batch: list[Row]) -> torch.Tensor:
    """Return who sees whom in rows behind a header of `depth` tokens, shape (rows, 1, width, depth + width)."""
    visible = _nothing_but_itself(len(batch), depth, width)
    for seen, row in zip(visible, batch, strict=True):
        seen[:, :depth] = True
        seen[: row.size, depth : depth + row.size] = row.visible()
    return torch.from_numpy(visible[:, None])


def _nothing_but_itself(rows: int, before: int, width: int) -> NDArray[np.bool_]:
    """Return a mask where tokens see themselves: padding that saw nothing would be NaN, also in the values."""
    visible = np.zeros((rows, width, before + width), dtype=np.bool_)
    visible[:, np.arange(width), before + np.arange(width)] = True
    return visible


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
    step = max(1, (CPU_CHUNK if logits.device.type == "cpu" else GPU_CHUNK) // logits.shape[1])
    for start in range(0, len(logits), step):
        low, high = np.searchsorted(rows, [start, start + step])
        where = torch.from_numpy(rows[low:high] - start).to(logits.device)
        wanted = torch.from_numpy(targets[low:high]).to(logits.device)
        logp = torch.log_softmax(logits[start : start + step], dim=-1, dtype=torch.float32)
        values = logp[where, wanted]
        greedy = values == logp.amax(dim=-1)[where]
        # `argmax` decides between equals, and is slow: it is asked only where the target is among the largest.
        if greedy.any():
            greedy[greedy.clone()] = logp[where[greedy]].argmax(dim=-1) == wanted[greedy]
        found.append(values.double().cpu().numpy())
        best.append(greedy.cpu().numpy())
    return np.concatenate(found), np.concatenate(best)
