"""How many rows go into a batch: a budget of token positions that halves when memory runs out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch
from accelerate.utils.memory import should_reduce_batch_size
from lm_eval.models.utils_hf import clear_torch_cache

from aurac.harness.engine.packing import Row
from aurac.harness.engine.work import Work

# Token positions of a batch where throughput no longer grows, and how many a call of its own costs beside its tokens.
CPU_TOKENS, CPU_CALL = 4096, 48
GPU_TOKENS, GPU_CALL = 65536, 512
LOGIT_VALUES = 2**28  # logits of a batch: 1 GiB in float32
PADDING = 0.02  # share of padding that is not worth another call


@dataclass
class Budget:
    """What a batch may hold.

    Attributes:
        tokens: Token positions, padding included.
        rows: Documents; None if only the tokens count.
        vocabulary: Entries of the vocabulary, for the memory of the logits.
        call: Token positions that a call costs beside its own: less padding than that is cheaper than another call.
    """

    tokens: int
    rows: int | None
    vocabulary: int
    call: int = CPU_CALL

    def halve(self, error: Exception, *, work: Work, shrinks: Callable[[], bool]) -> None:
        """Halve the token budget after an out-of-memory error until the next batch shrinks, and say so."""
        self.tokens //= 2
        while self.tokens > 1 and not shrinks():  # generation takes more than the budget
            self.tokens //= 2
        work.backed_off += 1
        work.token_budget = self.tokens
        message = str(error).splitlines()[0]
        warnings.warn(f"out of memory ({message}): going on with {self.tokens} tokens per batch", stacklevel=2)
        clear_torch_cache()


def automatic_budget(device: torch.device, *, rows: int | None, vocabulary: int, tokens: int | None = None) -> Budget:
    """Return the budget to start with on a device, or one of `tokens` positions.

    Example:
        >>> automatic_budget(torch.device("cpu"), rows=None, vocabulary=32000).tokens
        4096
    """
    most, call = (CPU_TOKENS, CPU_CALL) if device.type == "cpu" else (GPU_TOKENS, GPU_CALL)
    return Budget(tokens or most, rows, vocabulary, call)


def next_batch(rows: Sequence[Row], *, budget: Budget, header: int = 0) -> list[Row]:
    """Take rows from the front while the budget holds them and padding is cheaper than another call; at least one.

    Args:
        rows: Longest first (`pack_rows`).
        budget: What a batch may hold.
        header: Tokens whose keys and values each row holds beside its own.
    """
    widths = [0, 0]
    real = asked = 0
    for taken, row in enumerate(rows):
        if taken and row.in_two_calls != rows[0].in_two_calls:
            return list(rows[:taken])
        widths = [max(width, part) for width, part in zip_longest(widths, row.parts, fillvalue=0)]
        real, asked = real + row.size, asked + row.rows_asked
        padded = (taken + 1) * sum(widths)
        full = (
            padded > budget.tokens
            or (taken + 1) * header > 4 * budget.tokens
            or taken == budget.rows
            or asked * budget.vocabulary > LOGIT_VALUES
            or padded - real > max(budget.call, PADDING * padded)
        )
        if full and taken:
            return list(rows[:taken])
    return list(rows)


def run_batches(
    rows: Sequence[Row],
    *,
    take: Callable[[Sequence[Row]], list[Row]],
    run: Callable[[list[Row]], None],
    budget: Budget,
    work: Work,
) -> Iterator[list[Row]]:
    """Run batches from the front of `rows`; halve the budget and try again where memory runs out.

    Args:
        rows: What is to be done, in order.
        take: Chooses the next batch from the front.
        run: Does it; called again with a smaller batch after an out-of-memory error.
        budget: Halved when memory runs out; an error on a single document is raised.
        work: Counts the halvings.

    Yields:
        Each batch when it is done.
    """
    left = list(rows)
    while left:
        batch = take(left)
        try:
            run(batch)
        except (RuntimeError, MemoryError) as error:
            documents = _documents(batch)
            if documents == 1 or not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                left[:1] = batch[0].apart()
            # Halving a budget far above what was too large would not shrink it.
            budget.tokens = min(budget.tokens, max(2, max(row.size for row in batch) * len(batch)))
            budget.halve(error, work=work, shrinks=partial(_is_smaller, take, left, documents))
            continue
        del left[: len(batch)]
        yield batch


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a smaller batch may cure the error; torch and its backends say so in several ways."""
    return isinstance(error, MemoryError) or (isinstance(error, Exception) and should_reduce_batch_size(error))


def _is_smaller(take: Callable[[Sequence[Row]], list[Row]], rows: Sequence[Row], documents: int) -> bool:
    return _documents(take(rows)) < documents


def _documents(batch: Sequence[Row]) -> int:
    return sum(len(row.documents) for row in batch)
