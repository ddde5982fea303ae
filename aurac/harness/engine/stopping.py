"""When a generated row ends: HFLM's rule, looked up in the decoded end of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


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
