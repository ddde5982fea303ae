"""The lm-eval model over vLLM: HFLM's token rows, each different one sent once, prefixes read from vLLM's cache.

vLLM by itself computes prompts anew where their log-probabilities are asked for, because rows that it takes from its
cache have none. Here the cache is read, and of the rows only those behind it: the last token of a continuation is
always read at the position that vLLM would write next, and where the cache reaches into the others of a continuation,
the prompt is sent again without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aurac.harness.engine.queries import Query
from aurac.harness.hosted.decoding import SEED, Decoding
from aurac.harness.hosted.lm import Answer, HostedLM
from aurac.harness.opening import Base

MAX_TARGETS = 128  # vLLM's bound on logprob_token_ids
_ROUND = 512  # prompts that are handed over together

Sent = tuple[list[int], dict[str, Any]]


@dataclass(frozen=True)
class _Row:
    """One prompt, and the queries that it answers.

    Attributes:
        queries: Places of the queries; all have the same tokens.
        targets: Their last targets.
        first: The first position whose distribution is asked for before the last one; None where only that one is.
    """

    queries: tuple[int, ...]
    targets: tuple[int, ...]
    first: int | None


class VllmLM(HostedLM):
    """HFLM's requests, answered by vLLM in this process.

    Args:
        llm: vLLM's `LLM`.
        make: Makes its sampling parameters, `vllm.SamplingParams`.
        base: The base model.
        device: What it computes on.
        max_length: Tokens that the model reads; None for what its configuration says.
    """

    def __init__(
        self, llm: Any, make: Callable[..., Any], base: Base, *, device: Any = None, max_length: int | None = None
    ) -> None:
        super().__init__(base, max_length=max_length)
        self.llm, self._make, self._device = llm, make, device
        self.lora: Any = None  # the LoRARequest of the rank; None for the base model
        self.facts: dict[str, Any] = {}
        self.closing: list[Callable[[], None]] = []

    def about(self) -> dict[str, Any]:
        """Return program and version, for the record."""
        return self.facts

    def close(self) -> None:
        """End vLLM, and remove the slices."""
        while self.closing:
            self.closing.pop()()

    def score(self, queries: Sequence[Query]) -> Iterator[tuple[int, Answer]]:
        """Yield the answers, row by row."""
        rows = _rows(queries)
        for start in range(0, len(rows), _ROUND):
            mine = rows[start : start + _ROUND]
            sent = [self._scoring(queries, row) for row in mine]
            for row, prompt, output in zip(mine, sent, self._generate(sent), strict=True):
                if row.first is not None and (output.num_cached_tokens or 0) > row.first:
                    self.work.sent_again += 1
                    (output,) = self._generate([(prompt[0], {**prompt[1], "skip_reading_prefix_cache": True})])
                for i in row.queries:
                    yield i, _read(output, queries[i])

    def write(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> Iterator[tuple[int, list[int] | str]]:
        """Yield tokens; each text that is drawn has a seed of its own."""
        how = {
            "max_tokens": decoding.most,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": decoding.top_k,
            "min_p": decoding.min_p,
            "repetition_penalty": decoding.repetition_penalty,
            "stop": list(decoding.until),
            "stop_token_ids": list(decoding.stop_ids),
            "include_stop_str_in_output": True,
        }
        order = sorted(range(len(prompts)), key=lambda i: list(prompts[i]))
        for start in range(0, len(order), _ROUND):
            mine = order[start : start + _ROUND]
            seeds = [{"seed": SEED + i} if decoding.sampled else {} for i in mine]
            sent = [(list(prompts[i]), {**how, **seed}) for i, seed in zip(mine, seeds, strict=True)]
            for i, output in zip(mine, self._generate(sent), strict=True):
                tokens = list(output.outputs[0].token_ids)
                self.work.tokens_generated += len(tokens)
                yield i, tokens

    def _scoring(self, queries: Sequence[Query], row: _Row) -> Sent:
        how: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
        how["logprob_token_ids"] = list(row.targets)
        if row.first is not None:
            how |= {"prompt_logprobs": 0, "skip_reading_prefix_cache": False}
        return queries[row.queries[0]].tokens.tolist(), how

    def _generate(self, sent: Sequence[Sent]) -> list[Any]:
        prompts = [{"prompt_token_ids": tokens} for tokens, _ in sent]
        parameters = [self._make(**how) for _, how in sent]
        with self.work.waiting():
            outputs = list(self.llm.generate(prompts, parameters, use_tqdm=False, lora_request=self.lora))
        tokens = sum(len(row) for row, _ in sent)
        cached = sum(output.num_cached_tokens or 0 for output in outputs)
        self.work.sent(len(sent), tokens)
        self.work.answered(computed=tokens - cached, cached=cached)
        return outputs


def _rows(queries: Sequence[Query]) -> list[_Row]:
    """Return the prompts in the order of their tokens, so that neighbours share prefixes."""
    same: dict[tuple[int, ...], list[int]] = {}
    for i, query in enumerate(queries):
        same.setdefault(tuple(query.tokens.tolist()), []).append(i)
    rows = []
    for _, members in sorted(same.items()):
        for part in _parts(queries, members):
            longer = [queries[i].first_asked for i in part if len(queries[i].targets) > 1]
            targets = dict.fromkeys(int(queries[i].targets[-1]) for i in part)
            rows.append(_Row(tuple(part), tuple(targets), min(longer, default=None)))
    return rows


def _parts(queries: Sequence[Query], members: Sequence[int]) -> Iterator[list[int]]:
    """Divide queries of one row so that none asks for more last targets than vLLM takes."""
    part: list[int] = []
    targets: set[int] = set()
    for i in members:
        targets.add(int(queries[i].targets[-1]))
        if len(targets) > MAX_TARGETS:
            yield part
            part, targets = [], {int(queries[i].targets[-1])}
        part.append(i)
    yield part


def _read(output: Any, query: Query) -> Answer:
    """Return (log-probability, is greedy) of a continuation. From the end, rows are where all runners have them."""
    before = query.targets[:-1].tolist()
    last = int(query.targets[-1])
    said = [output.prompt_logprobs[j - len(before)][target] for j, target in enumerate(before)]
    total = sum(entry.logprob for entry in said) + output.outputs[0].logprobs[0][last].logprob
    return float(total), all(entry.rank == 1 for entry in said) and output.outputs[0].token_ids[0] == last
