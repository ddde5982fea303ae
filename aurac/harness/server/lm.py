"""The lm-eval model over a server: HFLM's token rows, sent in batches, several at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aurac.harness.engine.queries import Query
from aurac.harness.hosted.decoding import SEED, Decoding
from aurac.harness.hosted.lm import Answer, HostedLM
from aurac.harness.hosted.work import HostedWork
from aurac.harness.opening import Base
from aurac.harness.server.client import Client, ServerError
from aurac.harness.server.completions import Position, chain, echo, forced, texts
from aurac.harness.server.probe import Abilities

PROMPTS = 8  # in one call
CALLS = 4  # at a time
_TARGETS = 100  # tokens whose log-probabilities one call asks for; vLLM takes 128
_ROUND = 128  # queries whose answers are waited for together
# A chain sends a prompt for every token of the continuation, each with the whole context, which the server's prefix
# cache gives back in blocks; below so many context tokens for each of these, sending it once with echo is faster
# (measured on a CPU: 0-shot tasks are, 5-shot tasks are not).
_CONTEXT_FOR_EACH = 32
_METRIC = re.compile(r'^vllm:prompt_tokens_by_source_total\{.*source="(\w+)".*\} (\S+)$', flags=re.MULTILINE)

Job = TypeVar("Job")
Found = TypeVar("Found")


class ServerLM(HostedLM):
    """HFLM's requests, answered by one of a server's models; `model_name` says by which.

    Args:
        client: Calls the server.
        base: The base model; its tokenizer and config are used.
        able: How log-probabilities can be had.
        software: Who answers, "vllm" for example.
        window: Tokens that fit into prompt and answer together; None where the server does not say.
        max_length: Tokens that the model reads; None for what its configuration says.
        batch_size: Prompts in one call.
    """

    def __init__(
        self,
        client: Client,
        base: Base,
        able: Abilities,
        *,
        software: str = "",
        window: int | None = None,
        max_length: int | None = None,
        batch_size: int = PROMPTS,
    ) -> None:
        super().__init__(base, max_length=max_length)
        self.client, self.able, self.software, self.window = client, able, software, window
        self.batch_size_per_gpu = batch_size
        self.model_name = ""
        self.facts: dict[str, Any] = {}
        self.closing: list[Callable[[], None]] = [client.close]
        self._seen = (client.retries, self._prompt_tokens())

    def about(self) -> dict[str, Any]:
        """Return what is known of the server, for the record."""
        return self.facts

    def close(self) -> None:
        """Take away what was loaded, and close the connections."""
        while self.closing:
            self.closing.pop()()

    def reset_work(self) -> HostedWork:
        """Return the work report since the last reset, with what the server's own counters say."""
        retries, tokens = self.client.retries, self._prompt_tokens()
        self.work.retries = retries - self._seen[0]
        if tokens is not None and self._seen[1] is not None:
            computed, cached = (now - before for now, before in zip(tokens, self._seen[1], strict=True))
            if computed >= 0 and cached >= 0:
                self.work.answered(computed=computed, cached=cached)
        self._seen = (retries, tokens)
        return super().reset_work()

    def score(self, queries: Sequence[Query]) -> Iterator[tuple[int, Answer]]:
        """Yield the answers, by echo or by chain."""
        if not self.able.scores:
            raise ServerError(
                "the server gives no log-probabilities of prompts, which this task asks for "
                f"({self.able.why.rstrip('.')}). Score tasks that generate texts, or use --engine aurac."
            )
        # Neighbours share prefixes, so that the server's cache still has them.
        order = sorted(range(len(queries)), key=lambda i: queries[i].tokens.tolist())
        for start in range(0, len(order), _ROUND):
            mine = order[start : start + _ROUND]
            chained = [i for i in mine if self._by_chain(queries[i])]
            yield from self._echo(queries, [i for i in mine if i not in set(chained)])
            yield from self._chain(queries, chained)

    def write(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> Iterator[tuple[int, list[int] | str]]:
        """Yield texts; each that is drawn has a seed of its own."""
        order = sorted(range(len(prompts)), key=lambda i: list(prompts[i]))
        jobs = [[i] for i in order] if decoding.sampled else _batches(order, self.batch_size)

        def ask(members: list[int]) -> list[tuple[list[int] | str, int]]:
            rows = [prompts[i] for i in members]
            self._check_room(rows, decoding.most)
            seed = SEED + members[0] if decoding.sampled else None
            return texts(self.client, self.model_name, rows, decoding, software=self.software, seed=seed)

        self.work.sent(len(prompts), sum(map(len, prompts)))
        for members, found in self._several(ask, jobs):
            for i, (text, tokens) in zip(members, found, strict=True):
                self.work.tokens_generated += tokens
                yield i, text

    def _by_chain(self, query: Query) -> bool:
        if not (self.able.by_chain and self.able.by_echo):
            return not self.able.by_echo
        m = len(query.targets)
        return m == 1 or query.first_asked >= _CONTEXT_FOR_EACH * m

    def _echo(self, queries: Sequence[Query], which: list[int]) -> Iterator[tuple[int, Answer]]:
        rows = {i: [*queries[i].tokens.tolist(), int(queries[i].targets[-1])] for i in which}
        self.work.sent(len(rows), sum(map(len, rows.values())))
        self._check_room(list(rows.values()), 1)

        def ask(members: list[int]) -> list[list[tuple[float, bool]]]:
            return echo(self.client, self.model_name, [rows[i] for i in members])

        for members, found in self._several(ask, _batches(which, self.batch_size)):
            for i, tokens in zip(members, found, strict=True):
                asked = tokens[-len(queries[i].targets) :]
                yield i, (sum(value for value, _ in asked), all(likeliest for _, likeliest in asked))

    def _chain(self, queries: Sequence[Query], which: list[int]) -> Iterator[tuple[int, Answer]]:
        wanted: dict[tuple[int, ...], set[int]] = {}
        for i in which:
            for row, target in _steps(queries[i]):
                wanted.setdefault(row, set()).add(target)
        self.work.sent(len(wanted), sum(map(len, wanted)))
        self._check_room(list(wanted), 1)
        ask, most = (chain, _TARGETS) if self.able.by_chain else (forced, 1)
        alike: dict[tuple[int, ...], list[tuple[int, ...]]] = {}  # one call has one list of targets
        for row, targets in wanted.items():
            for some in _batches(sorted(targets), most):
                alike.setdefault(tuple(some), []).append(row)
        jobs = [(targets, part) for targets, rows in alike.items() for part in _batches(rows, self.batch_size)]
        said: dict[tuple[int, ...], Position] = {}
        for (_, rows), found in self._several(lambda job: ask(self.client, self.model_name, job[1], job[0]), jobs):
            for row, position in zip(rows, found, strict=True):
                known = said[row].values if row in said else {}
                said[row] = Position({**known, **position.values}, position.likeliest)
        for i in which:
            steps = list(_steps(queries[i]))
            greedy = all(said[row].likeliest == target for row, target in steps)
            yield i, (sum(said[row].values[target] for row, target in steps), greedy)

    def _several(self, ask: Callable[[Job], Found], jobs: Sequence[Job]) -> Iterator[tuple[Job, Found]]:
        """Yield (job, answer), several calls being under way at a time."""
        with self.work.waiting(), ThreadPoolExecutor(CALLS) as pool:
            futures = [(job, pool.submit(ask, job)) for job in jobs]
            try:
                for job, future in futures:
                    yield job, future.result()
            finally:
                for _, future in futures:
                    future.cancel()

    def _check_room(self, rows: Sequence[Sequence[int]], most: int) -> None:
        longest = max(map(len, rows), default=0)
        if self.window is not None and longest + most > self.window:
            raise ServerError(
                f"a prompt has {longest} tokens and {most} more are asked for; the server has room for {self.window}. "
                f"Start it with more (vLLM: --max-model-len), or give --max-length {self.window - 2} or less."
            )

    def _prompt_tokens(self) -> tuple[int, int] | None:
        """Return (computed, cached) prompt tokens since the server started, where it counts them."""
        if self.software != "vllm" or (page := self.client.text("/metrics")) is None:
            return None
        found: dict[str, float] = {}
        for source, value in _METRIC.findall(page):
            found[source] = found.get(source, 0.0) + float(value)
        if "local_compute" not in found:
            return None
        return int(found["local_compute"]), int(sum(found.values()) - found["local_compute"])


def _steps(query: Query) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield (what stands before it, token) for each token of the continuation."""
    tokens = query.tokens.tolist()
    for j, target in enumerate(query.targets.tolist()):
        yield tuple(tokens[: query.first_asked + 1 + j]), target


def _batches(items: Sequence[Job], size: int) -> list[list[Job]]:
    return [list(items[i : i + size]) for i in range(0, len(items), size)]
