"""How many documents go into a batch: a budget of token positions that halves when memory runs out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from accelerate.utils.memory import should_reduce_batch_size
from lm_eval.models.utils_hf import clear_torch_cache

from aurac.harness.engine.document import Document
from aurac.harness.engine.work import Work

Item = TypeVar("Item")
# Token positions of a batch where throughput no longer grows, and where a batch is rather closed than padded.
CPU_TOKENS, CPU_ENOUGH = 4096, 256
GPU_TOKENS, GPU_ENOUGH = 65536, 16384
LOGIT_VALUES = 2**28  # logits of a batch: 1 GiB in float32
PADDING = 0.02  # share of padding at which a batch that is large enough is closed


@dataclass
class Budget:
    """What a batch may hold.

    Attributes:
        tokens: Token positions, padding included.
        rows: Documents; None if only the tokens count.
        vocabulary: Entries of the vocabulary, for the memory of the logits.
        enough: Token positions from which a batch is rather closed than padded.
    """

    tokens: int
    rows: int | None
    vocabulary: int
    enough: int = CPU_ENOUGH

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
    most, enough = (CPU_TOKENS, CPU_ENOUGH) if device.type == "cpu" else (GPU_TOKENS, GPU_ENOUGH)
    return Budget(tokens or most, rows, vocabulary, enough)


def by_length(documents: Sequence[Document]) -> list[Document]:
    """Sort longest first: by trunk in steps of 2 %, then by branches, so that both are padded little."""
    return sorted(documents, key=lambda d: (-int(math.log1p(len(d.trunk)) / 0.02), -len(d.branches), -len(d.trunk)))


def next_batch(documents: Sequence[Document], *, budget: Budget, header: int = 0) -> list[Document]:
    """Take documents from the front while the budget holds them and padding stays small; always at least one.

    Args:
        documents: Sorted with `by_length`.
        budget: What a batch may hold.
        header: Tokens whose keys and values each row holds beside its own.
    """
    trunk = branches = real = asked = 0
    for rows, document in enumerate(documents):
        trunk, branches = max(trunk, len(document.trunk)), max(branches, len(document.branches))
        real, asked = real + document.size, asked + len(document.rows)
        padded = (rows + 1) * (trunk + branches)
        full = (
            padded > budget.tokens
            or (rows + 1) * header > 4 * budget.tokens
            or rows == budget.rows
            or asked * budget.vocabulary > LOGIT_VALUES
            or (padded > budget.enough and padded - real > PADDING * padded)
        )
        if full and rows:
            return list(documents[:rows])
    return list(documents)


def run_batches(
    items: Sequence[Item],
    *,
    take: Callable[[Sequence[Item]], list[Item]],
    run: Callable[[list[Item]], None],
    budget: Budget,
    work: Work,
) -> Iterator[list[Item]]:
    """Run batches from the front of `items`; halve the budget and try again where memory runs out.

    Args:
        items: What is to be done, in order.
        take: Chooses the next batch from the front.
        run: Does it; called again with a smaller batch after an out-of-memory error.
        budget: Halved when memory runs out; an error on a single item is raised.
        work: Counts the halvings.

    Yields:
        Each batch when it is done.
    """
    done = 0
    while done < len(items):
        batch = take(items[done:])
        try:
            run(batch)
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            budget.tokens = min(budget.tokens, _size(batch))
            budget.halve(error, work=work, shrinks=partial(_is_shorter, take, items[done:], len(batch)))
            continue
        done += len(batch)
        yield batch


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a smaller batch may cure the error; torch and its backends say so in several ways."""
    return isinstance(error, MemoryError) or (isinstance(error, Exception) and should_reduce_batch_size(error))


def _is_shorter(take: Callable[[Sequence[Item]], list[Item]], items: Sequence[Item], length: int) -> bool:
    return len(take(items)) < length


def _size(batch: Sequence[object]) -> int:
    """Token positions of a batch that was too large: halving a budget far above it would not shrink it."""
    sizes = [item.size if isinstance(item, Document) else len(item) for item in batch]  # type: ignore[arg-type]
    return max(2, max(sizes) * len(sizes))
