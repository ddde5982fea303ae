"""Greedy generation: the prompts' header forwarded once, finished rows leave the batch.

The texts are those of `HFLM.generate_until` with one prompt at a time: the same stop rule, looked up in the decoded
end of each row, and the same cutting afterwards (which is HFLM's own function).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache

from aurac.harness.engine.batches import Budget, next_batch, run_batches
from aurac.harness.engine.document import Document
from aurac.harness.engine.forward import Forward, causal_behind, pad_rows
from aurac.harness.engine.header import header_cache
from aurac.harness.engine.kv import new_cache
from aurac.harness.engine.packing import Row, pack_rows
from aurac.harness.engine.plan import Family, Plan
from aurac.harness.engine.processes import ALONE, Processes

WIDER = 8  # batches may hold more than for scoring: a step costs much the same for 4 rows as for 16


@dataclass(frozen=True)
class Stop:
    """When a row is finished.

    Attributes:
        strings: Texts that end a row as soon as the decoded end of the row contains one.
        tokens: Token ids that end a row.
        most: Tokens that a row generates at most.
        window: Tokens of the end that are decoded: HFLM takes the stop's own tokens and 2 more.
        decode: Token rows to texts.
    """

    strings: tuple[str, ...]
    tokens: frozenset[int]
    most: int
    window: int
    decode: Callable[[list[list[int]]], list[str]]

    def finished(self, rows: Sequence[list[int]]) -> list[bool]:
        """Tell for each row of generated tokens whether it ends here."""
        tails = self.decode([row[-self.window :] for row in rows])
        return [
            len(row) >= self.most or row[-1] in self.tokens or any(string in tail for string in self.strings)
            for row, tail in zip(rows, tails, strict=True)
        ]


def make_stop(lm: Any, *, until: Sequence[str], most: int) -> Stop:
    """Return HFLM's rule for the stop strings `until` (the end-of-text string among them) and `most` new tokens."""
    end = lm.model.generation_config.eos_token_id
    ends = frozenset() if end is None else frozenset([end] if isinstance(end, int) else end)
    longest = max((len(lm.tokenizer.encode(string, add_special_tokens=False)) for string in until), default=0)
    return Stop(tuple(until), ends, most, longest + 2, lm.tokenizer.batch_decode)


def generate(
    plan: Plan,
    forward: Forward,
    *,
    stop: Stop,
    budget: Budget,
    processes: Processes = ALONE,
    progress: Callable[[dict[int, list[int]], list[int]], object] = lambda *_: None,
) -> dict[int, list[int]]:
    """Generate after every prompt of a plan made with `pack=False`; with several processes, this one's part.

    Args:
        plan: Prompts, as queries whose last position is asked for.
        forward: The model.
        stop: When a row is finished.
        budget: What a batch may hold.
        processes: Who shares the prompts.
        progress: Called after each batch with the rows so far and the slots that were finished.

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
    progress: Callable[[dict[int, list[int]], list[int]], object]

    def family(self, family: Family, parent: Cache | None) -> None:
        header = header_cache(family, parent, self.forward) if len(family.header) else parent
        for done in run_batches(
            pack_rows(self.processes.share(family.documents), width=0),
            take=lambda rest: self.take(rest, family.depth),
            run=lambda batch: self.batch([row.documents[0] for row in batch], family.depth, header),
            budget=self.budget,
            work=self.forward.work,
        ):
            self.progress(self.texts, [slot for row in done for slot in row.slots])
        for longer in family.families:
            self.family(longer, header)

    def take(self, rest: Sequence[Row], depth: int) -> list[Row]:
        tokens = WIDER * self.budget.tokens
        wider = replace(self.budget, tokens=tokens, call=tokens)  # rather padded than small
        most = len(next_batch(rest, budget=wider, header=depth + self.stop.most))
        batches = -(-len(rest) // most)
        return list(
            rest[: -(-len(rest) // batches)]
        )  # of equal size: a last batch of one row costs as much as a full one

    def batch(self, batch: list[Document], depth: int, header: Cache | None) -> None:
        """Prefill the prompts, then append one token to each unfinished row until none is left."""
        work = self.forward.work
        lengths = np.array([len(document.trunk) for document in batch])
        width = int(lengths.max())
        cache = new_cache(depth + width + self.stop.most, header=header, rows=len(batch))
        with work.phase("context"):
            logits = self.prefill(batch, depth, cache)
        # Columns that a row may see: header, its own prompt, everything appended; between them lies its padding.
        seen = np.arange(depth + width + self.stop.most)
        visible = torch.from_numpy((seen < depth + lengths[:, None]) | (seen >= depth + width)).to(self.forward.device)
        rows: list[list[int]] = [[] for _ in batch]
        left = list(range(len(batch)))
        with work.phase("generate"):
            while True:
                chosen = logits.float().argmax(dim=-1).tolist()
                for row, token in zip(left, chosen, strict=True):
                    rows[row].append(token)
                ended = self.stop.finished([rows[row] for row in left])
                if any(ended):
                    kept = [i for i, end in enumerate(ended) if not end]
                    left = [left[i] for i in kept]
                    if not left:
                        break
                    where = torch.tensor(kept, device=self.forward.device)
                    cache.batch_select_indices(where)
                    visible = visible[where]
                logits = self.step([rows[row] for row in left], depth + lengths[left], depth + width, visible, cache)
        self.texts.update({int(d.answer_slots[0]): row for d, row in zip(batch, rows, strict=True)})
        work.documents += len(batch)
        work.rows_asked += sum(map(len, rows))
        work.tokens_generated += sum(map(len, rows))
        work.distinct_prefix_tokens += sum(len(row) - 1 for row in rows)  # the last one is not forwarded

    def prefill(self, batch: list[Document], depth: int, cache: Cache) -> torch.Tensor:
        tokens = pad_rows([document.trunk for document in batch])
        width = tokens.shape[1]
        return self.forward(
            tokens,
            rows=np.array([i * width + len(document.trunk) - 1 for i, document in enumerate(batch)]),
            real=sum(len(document.trunk) for document in batch),
            positions=np.arange(depth, depth + width)[None] if depth else None,
            visible=causal_behind(depth, width) if depth else None,
            cache=cache,
        )

    def step(
        self,
        rows: list[list[int]],
        starts: np.ndarray[Any, np.dtype[np.int64]],
        filled: int,
        visible: torch.Tensor,
        cache: Cache,
    ) -> torch.Tensor:
        """Forward the last token of each row, which follows `starts` prompt tokens and the ones before it."""
        appended = len(rows[0])
        seen = visible[:, : filled + appended]
        return self.forward(
            np.array([[row[-1]] for row in rows], dtype=np.int32),
            rows=np.arange(len(rows)),
            real=len(rows),
            positions=(starts + appended - 1)[:, None],
            visible=seen[:, None, None],
            cache=cache,
        )
