"""From (context, continuation) strings to the token rows that are scored, exactly as HFLM makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lm_eval import utils
from lm_eval.models.utils import has_bos_prefix
from numpy.typing import NDArray

from aurac.errors import ModelError, TaskError

Tokens = NDArray[np.int32]
Pair = tuple[Sequence[int], Sequence[int]]


class UnscorableRequestError(TaskError, AssertionError):
    """A request without a token to score, or with more than the window holds; HFLM has a bare assertion for them."""


@dataclass(frozen=True)
class Query:
    """One thing to score: position `len(tokens) - len(targets) + j` predicts `targets[j]`.

    Attributes:
        tokens: What the model reads, shape (n,): context and continuation without its last token.
        targets: The continuation, shape (m,), 1 <= m <= n.
        truncated: Whether tokens were cut from the left to fit the window.
    """

    tokens: Tokens
    targets: Tokens
    truncated: bool = False

    @property
    def first_asked(self) -> int:
        """The first position whose distribution is asked for."""
        return len(self.tokens) - len(self.targets)


def make_query(context: Sequence[int], continuation: Sequence[int], *, window: int, text: str = "") -> Query:
    """Join a context and a continuation and cut them from the left to the window, as `HFLM._loglikelihood_tokens` does.

    Args:
        context: Token ids, at least one.
        continuation: Token ids, 1 to `window` of them.
        window: Tokens that the model can read (`lm.max_length`).
        text: The end of the request's text, for the error message.

    Raises:
        UnscorableRequestError: If there is nothing to score or the continuation alone exceeds the window.

    Example:
        >>> query = make_query([5, 6, 7], [8, 9], window=3)
        >>> query.tokens.tolist(), query.targets.tolist(), query.truncated   # 5 does not fit: 6 7 8 | 9
        ([6, 7, 8], [8, 9], True)
    """
    if not context or not continuation:
        missing = "context" if not context else "continuation"
        raise UnscorableRequestError(
            f"a request has no {missing} token to score (text ends {text!r}); HFLM refuses it too. "
            "Give the task's choices at least one token."
        )
    if len(continuation) > window:
        raise UnscorableRequestError(
            f"a continuation has {len(continuation)} tokens (text ends {text!r}), the model's window {window}. "
            "Shorten the choice or raise max_length."
        )
    joined = np.asarray([*context, *continuation], dtype=np.int32)
    return Query(joined[-(window + 1) :][:-1], np.asarray(continuation, dtype=np.int32), len(joined) > window + 1)


def check_ids(queries: Sequence[Query], rows: int) -> None:
    """Raise `ModelError` if a token id lies beyond the model's embedding; padded embeddings may have more rows.

    Args:
        queries: What is about to be forwarded.
        rows: Of the embedding.
    """
    largest = max((int(part.max()) for query in queries for part in (query.tokens, query.targets)), default=0)
    if largest >= rows:
        raise ModelError(
            f"the prompts have the token id {largest}, and the model's embedding has {rows} rows. The tokenizer is "
            "that of another model, or has tokens that were never added to this one; give the right one (--tokenizer)."
        )


def encode_all(lm: Any, strings: Iterable[str]) -> dict[str, list[int]]:
    """Token ids of every different string, as `lm.tok_encode` gives them, encoded in one batch."""
    prefix = lm.tokenizer.decode(lm.prefix_token_id)
    default = {} if lm.add_bos_token is None else {"add_special_tokens": lm.add_bos_token}
    groups: dict[bool, list[str]] = {True: [], False: []}
    for string in dict.fromkeys(strings):
        groups[has_bos_prefix(string, prefix)].append(string)
    encoded: dict[str, list[int]] = {}
    for has_bos, members in groups.items():
        if members:
            special = {"add_special_tokens": False} if has_bos else default
            encoded.update(zip(members, lm.tokenizer(members, verbose=False, **special)["input_ids"], strict=True))
    return encoded


def queries_of(lm: Any, pairs: Sequence[tuple[str, str]]) -> list[Query]:
    """Return a query for each (context, continuation), cut to the window as HFLM cuts it."""
    encoded = zip(pairs, encode_pairs(lm, pairs), strict=True)
    return [
        make_query(context, rest, window=lm.max_length, text=(pair[0] + pair[1])[-40:])
        for pair, (context, rest) in encoded
    ]


def rolling_queries(lm: Any, texts: Sequence[str]) -> tuple[list[int], list[Query]]:
    """Cut texts into windows as `HFLM.loglikelihood_rolling` does; return each window's text, and the windows."""
    owners, queries = [], []
    for i, text in enumerate(texts):
        for window in utils.get_rolling_token_windows(
            token_list=lm.tok_encode(text),
            prefix_token=lm.prefix_token_id,
            max_seq_len=lm.max_length,
            context_len=1,
        ):
            owners.append(i)
            queries.append(make_query(*utils.make_disjoint_window(window), window=lm.max_length))
    return owners, queries


def encode_pairs(lm: Any, requests: Sequence[tuple[str, str]]) -> list[Pair]:
    """Token ids of (context, continuation), as `TemplateLM.loglikelihood` and `_encode_pair` make them.

    Trailing spaces of the context move to the continuation, the continuation's tokens are cut from the joint
    encoding, and an empty context becomes the prefix token. Every different context is encoded once, not once per
    choice.
    """
    split = [_move_spaces(context, continuation) for context, continuation in requests]
    encoded = encode_all(lm, (text for context, rest in split if context for text in (context, context + rest)))
    pairs: list[Pair] = []
    for (context, _), (head, rest) in zip(requests, split, strict=True):
        if context == "":
            pairs.append(_without_context(lm, rest))
        else:
            ids = encoded[head] if head else lm.tok_encode("")
            whole = encoded[head + rest] if head else lm.tok_encode(rest)
            pairs.append((ids, whole[len(ids) :]))
    return pairs


def _move_spaces(context: str, continuation: str) -> tuple[str, str]:
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


def _without_context(lm: Any, continuation: str) -> Pair:
    ids = lm.tok_encode(continuation, add_special_tokens=False)
    if ids and ids[0] == lm.prefix_token_id:
        return ids[:1], ids[1:]
    return [lm.prefix_token_id], ids
