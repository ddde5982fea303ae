"""What another program was sent for a cell, and what it says that it computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any


@dataclass
class HostedWork:
    """Counters of one cell; `lm.reset_work()` returns them and starts anew.

    Attributes:
        requests: lm-eval's requests that were answered.
        truncated: Those whose context was cut from the left because it did not fit the model's window.
        prompts: Token rows that were sent, each different one once.
        prompt_tokens: Their tokens.
        tokens_computed: Prompt tokens that were forwarded; None where the other program does not say.
        tokens_cached: Prompt tokens that were taken from its prefix cache; None where it does not say.
        tokens_generated: Tokens that it wrote.
        sent_again: Prompts sent a second time, because the cache reached into what was asked for.
        retries: Calls that were repeated after a fault.
        seconds: Wall-clock seconds spent waiting for it.
    """

    requests: int = 0
    truncated: int = 0
    prompts: int = 0
    prompt_tokens: int = 0
    tokens_computed: int | None = None
    tokens_cached: int | None = None
    tokens_generated: int = 0
    sent_again: int = 0
    retries: int = 0
    seconds: float = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Add the wall-clock time spent inside to `seconds`."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - start

    def sent(self, prompts: int, tokens: int) -> None:
        """Count rows that were sent."""
        self.prompts += prompts
        self.prompt_tokens += tokens

    def answered(self, *, computed: int, cached: int) -> None:
        """Count what the other program says of prompt tokens."""
        self.tokens_computed = (self.tokens_computed or 0) + computed
        self.tokens_cached = (self.tokens_cached or 0) + cached

    def to_dict(self) -> dict[str, Any]:
        """Return the counters as plain values, as they go into a record."""
        return asdict(self)
