"""HFLM's own code where the fast path has no answer: in batches of a known size, halved when memory runs out.

HFLM's own `batch_size="auto"` finds its number by forwarding 64 rows as long as the model's whole window, before each
list of requests and at every rank; here the number follows from the token budget.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.models.utils_hf import clear_torch_cache

from aurac.harness.engine.batches import LOGIT_VALUES, Budget, is_out_of_memory
from aurac.harness.engine.processes import current_processes

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

MOST_ROWS = 64  # as many as HFLM tries at most
Method = Literal["loglikelihood", "loglikelihood_rolling", "generate_until"]


def by_hflm(
    lm: Any, method: Method, requests: Sequence[Instance], *, budget: Budget, reason: str | None, disable_tqdm: bool
) -> Any:
    """Let each process answer its part of the requests with HFLM's own code; all end with all answers.

    Args:
        lm: The engine, an HFLM itself; its work report says how many requests were answered at a time.
        method: What is asked.
        requests: Of that kind; for generation, with the same options.
        budget: What a batch may hold.
        reason: Why the fast path does not answer them.
        disable_tqdm: Whether to hide HFLM's bar.
    """
    lm.work.fallback = lm.work.fallback or reason
    processes = current_processes()
    if processes.index == 0:
        lm.work.requests += len(requests)
        lm.work.fallback_requests += len(requests)
    mine = processes.share(requests)
    with lm.work.phase("fallback"):
        return processes.collect(_answer(lm, method, mine, budget, disable_tqdm) if mine else [])


def _answer(lm: Any, method: Method, requests: list[Instance], budget: Budget, disable_tqdm: bool) -> Any:
    size = _size(lm, method, requests)
    rows = _rows(method, size, budget)
    own = lm.batch_size_per_gpu
    try:
        while True:
            lm.batch_size_per_gpu = lm.work.fallback_rows = rows
            try:
                return getattr(HFLM, method)(lm, requests, disable_tqdm)
            except (RuntimeError, MemoryError) as error:
                if rows == 1 or not is_out_of_memory(error):
                    raise
                rows //= 2
                # The ranks to come start there, so that the same batches are padded alike.
                budget.tokens = min(budget.tokens, rows * size)
                lm.work.backed_off += 1
                warnings.warn(f"out of memory: going on with {rows} requests at a time", stacklevel=2)
                clear_torch_cache()
    finally:
        lm.batch_size_per_gpu = own


def _rows(method: Method, size: int, budget: Budget) -> int:
    """Return how many requests of this size the budget holds; HFLM keeps all logits of those that it scores."""
    if budget.rows is not None:
        return budget.rows
    tokens = budget.tokens
    if method != "generate_until":
        tokens = min(tokens, LOGIT_VALUES // budget.vocabulary)
    return max(1, min(MOST_ROWS, tokens // size))


def _size(lm: Any, method: Method, requests: Sequence[Instance]) -> int:
    """Return the tokens of the longest request, which is taken to be the one with the most characters."""
    longest = max(("".join(part for part in r.args if isinstance(part, str)) for r in requests), key=len)
    size: int = max(1, min(len(lm.tok_encode(longest)), lm.max_length))
    if method != "generate_until":
        return size
    options = requests[0].args[1]
    new = int(normalize_gen_kwargs(options, lm.max_gen_toks)["max_gen_toks"])
    return (size + new) * int(options.get("num_beams") or 1)
