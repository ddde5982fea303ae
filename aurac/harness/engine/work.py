"""What the engine did for its answers: tokens, rows of the vocabulary, forward calls, seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Work:
    """Counters of one cell or of several; `lm.reset_work()` returns them and starts anew.

    All counts are exact. `tokens_forwarded` contains the padding and the tokens that generation appends one by one;
    `distinct_prefix_tokens` counts the different token prefixes among the requests (the nodes of their trie) and, for
    generation, the tokens appended: no way of computing the same answers forwards fewer.

    Attributes:
        requests: Requests answered.
        truncated: Requests whose context was cut from the left because it did not fit the model's window.
        documents: Rows of the plan: groups of requests that share a context.
        headers: Prefixes shared by several documents and forwarded once.
        tokens_forwarded: Token positions the model was called with, padding included.
        padding_tokens: How many of these were padding.
        distinct_prefix_tokens: The limit for `tokens_forwarded`.
        tokens_one_by_one: Tokens of every different input, each on its own: what HFLM forwards, without its padding.
        tokens_generated: Tokens appended by generation.
        rows_asked: Different positions whose next-token distribution the requests ask for.
        rows_projected: Hidden rows that were multiplied with the vocabulary.
        forward_calls: Calls of the model.
        decode_calls: Those that appended a token to each row in use.
        backed_off: How often the token budget was halved after an out-of-memory error.
        token_budget: Token positions a batch may hold; the smallest one in use.
        seconds: Wall-clock seconds by phase: plan, trial, header, document (whole), context and continuation (of
            documents in two calls), generate, fallback.
        compute_seconds: Of these, what the model's arithmetic took: `forward` (its layers), `projection` (the output
            embedding and what follows it), `softmax` (reading log-probabilities, choosing tokens). Of a GPU, which
            works on while Python goes on, only where profiling was asked for.
        fallback: Why the fast path was not taken for some requests; None if it was for all.
        fallback_requests: Requests that it was not taken for.
        fallback_rows: Requests that HFLM's own code answered at a time; its padding can change texts.
    """

    requests: int = 0
    truncated: int = 0
    documents: int = 0
    headers: int = 0
    tokens_forwarded: int = 0
    padding_tokens: int = 0
    distinct_prefix_tokens: int = 0
    tokens_one_by_one: int = 0
    tokens_generated: int = 0
    rows_asked: int = 0
    rows_projected: int = 0
    forward_calls: int = 0
    decode_calls: int = 0
    backed_off: int = 0
    token_budget: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    compute_seconds: dict[str, float] = field(default_factory=dict)
    fallback: str | None = None
    fallback_requests: int = 0
    fallback_rows: int | None = None

    @property
    def padding_share(self) -> float:
        """Part of the forwarded tokens that was padding, in [0, 1].

        Example:
            >>> Work(tokens_forwarded=100, padding_tokens=3).padding_share
            0.03
        """
        return self.padding_tokens / self.tokens_forwarded if self.tokens_forwarded else 0.0

    @property
    def tokens_over_limit(self) -> float | None:
        """Tokens forwarded per distinct prefix token: 1.0 is the limit; None if nothing was counted.

        Example:
            >>> Work(tokens_forwarded=102, distinct_prefix_tokens=100).tokens_over_limit
            1.02
        """
        return self.tokens_forwarded / self.distinct_prefix_tokens if self.distinct_prefix_tokens else None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the wall-clock time spent inside to `seconds[name]`, without that of phases inside."""
        start, before = time.perf_counter(), sum(self.seconds.values())
        try:
            yield
        finally:
            inside = sum(self.seconds.values()) - before
            _add(self.seconds, name, time.perf_counter() - start - inside)

    def computed(self, name: str, seconds: float) -> None:
        """Add to `compute_seconds[name]`."""
        _add(self.compute_seconds, name, seconds)

    def add(self, other: Work) -> None:
        """Add another report to this one, for instance that of another process.

        Example:
            >>> work = Work(requests=1, seconds={"plan": 1.0})
            >>> work.add(Work(requests=2, seconds={"plan": 0.5}, token_budget=64))
            >>> work.requests, work.seconds, work.token_budget
            (3, {'plan': 1.5}, 64)
        """
        for entry in fields(self):
            mine, theirs = getattr(self, entry.name), getattr(other, entry.name)
            if isinstance(mine, dict):
                for name, seconds in theirs.items():
                    _add(mine, name, seconds)
            elif entry.name == "fallback":
                self.fallback = mine or theirs
            elif entry.name in ("token_budget", "fallback_rows"):
                setattr(self, entry.name, min((n for n in (mine, theirs) if n is not None), default=None))
            else:
                setattr(self, entry.name, mine + theirs)

    def to_dict(self) -> dict[str, Any]:
        """Return the counters and the two ratios as plain values, as they go into a record."""
        return asdict(self) | {"padding_share": self.padding_share, "tokens_over_limit": self.tokens_over_limit}


def _add(seconds: dict[str, float], name: str, more: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + more
