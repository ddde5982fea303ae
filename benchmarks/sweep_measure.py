"""Two sides that take turns at the same requests: their seconds, what they asked of the model, and their answers."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from sweep_cases import build_requests


@dataclass
class Counted:
    """What a side asked of the model for the answers of one rank, which no machine changes.

    Attributes:
        calls: Forward calls.
        tokens: Token positions in them, padding included.
    """

    calls: int = 0
    tokens: int = 0


@contextmanager
def counting(model: Any) -> Iterator[Counted]:
    """Count the calls of the model under the adapter."""
    counted = Counted()

    def count(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        counted.calls += 1
        counted.tokens += (kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel()

    handle = model.get_base_model().register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield counted
    finally:
        handle.remove()


@dataclass
class Measured:
    """One task: seconds by repeat and rank, and how far the answers are apart.

    The engine tries out a model and plans the requests in its first call: these `opening_seconds` are part of the first
    sweep, and of the time of no rank.
    """

    task: str
    documents: int
    requests: int = 0
    opening_seconds: float = 0.0
    engine_seconds: list[float] = field(default_factory=list)
    hflm_seconds: dict[int, list[float]] = field(default_factory=dict)
    sweep_seconds: list[float] = field(default_factory=list)
    loop_seconds: dict[int, list[float]] = field(default_factory=dict)
    largest_difference: float = 0.0
    flips: int = 0
    work: dict[str, Any] = field(default_factory=dict)
    hflm_counts: dict[int, Counted] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[int, float]:
        """Batch size -> median over repeats and ranks of HFLM's seconds per second of the engine, answering only."""
        return {size: median_ratio(seconds, self.engine_seconds) for size, seconds in self.hflm_seconds.items()}

    @property
    def ratio(self) -> float:
        """The ratio at HFLM's best batch size."""
        return min(self.ratios.values())

    @property
    def whole(self) -> float:
        """Median over repeats of the loop's seconds per second of the sweep, at HFLM's best batch size."""
        return min(median_ratio(seconds, self.sweep_seconds) for seconds in self.loop_seconds.values())

    @property
    def best(self) -> int:
        """HFLM's best batch size: the one that is least slower than the engine."""
        return min(self.ratios, key=lambda size: self.ratios[size])

    def record(self) -> dict[str, Any]:
        """Everything, and the medians."""
        return asdict(self) | {"ratios": self.ratios, "best": self.best, "ratio": self.ratio, "whole": self.whole}


def median_ratio(slower: list[float], faster: list[float]) -> float:
    """Median of the quotients of pairs that were measured one after the other."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


class Ranks:
    """Sets the rank of one model for both sides: merged for the engine where that is possible, by the gate for HFLM."""

    def __init__(self, nested: Any) -> None:
        from aurac_adapters.layer.merging import MergedAdapter, obstacle

        self.nested = nested
        self.merged = MergedAdapter(nested) if obstacle(nested) is None else None

    def for_engine(self, rank: int) -> None:
        """Set the rank as a sweep does; part of what is timed."""
        (self.merged or self.nested).set_rank(rank)

    def for_hflm(self, rank: int) -> None:
        """Set the rank beside the base's own weights."""
        if self.merged:
            self.merged.restore()
        self.nested.set_rank(rank)


def measure(task: str, lms: tuple[Any, Any], args: Namespace, ranks: Ranks) -> Measured:
    """Time both sides at every rank, several times, and compare their answers."""
    # MMLU's prompts are short, and a header shared by few documents would say nothing about subjects of 100 and more.
    result = Measured(task, args.documents * (10 if task == "mmlu" else 1))
    engine, hflm = lms
    for repeat in range(args.repeats):
        engine.forget_plans()
        pairs, building = timed(partial(build_requests, task, result.documents, args.hub), args.device)
        result.requests = len(pairs)
        sweep, loop = building, dict.fromkeys(different(args.hflm_batch_sizes, len(pairs)), 0.0)
        for rank in args.ranks:
            _, setting = timed(partial(ranks.for_engine, rank), args.device)
            if not result.engine_seconds:
                _, first = timed(partial(ask, engine, pairs), args.device)
                engine.reset_work()
            ours, answering = timed(partial(ask, engine, pairs), args.device)
            sweep += setting + answering
            if not result.engine_seconds:
                result.opening_seconds = max(0.0, first - answering)
                sweep += result.opening_seconds
            result.engine_seconds.append(answering)
            result.work = result.work or engine.work.to_dict()  # the counts are the same at every rank
            engine.reset_work()
            ranks.for_hflm(rank)
            for size in loop:
                hflm.batch_size_per_gpu = size
                with counting(ranks.nested.model) as counted:
                    theirs, waiting = timed(partial(ask, hflm, pairs), args.device)
                result.hflm_counts[size] = counted
                loop[size] += building + waiting
                result.hflm_seconds.setdefault(size, []).append(waiting)
                difference, flips = compare(pairs, ours, theirs)
                result.largest_difference = max(result.largest_difference, difference)
                # Texts of several prompts at a time go on until every row has stopped; one at a time are compared.
                result.flips += flips if size == 1 or not isinstance(ours[0], str) else 0
                print(
                    f"{task} repeat {repeat + 1} rank {rank}: engine {answering:.1f} s, HFLM {waiting:.1f} s in "
                    f"batches of {size}, difference {difference:.1e}, flips {flips}",
                    file=sys.stderr,
                    flush=True,
                )
        result.sweep_seconds.append(sweep)
        for size, seconds in loop.items():
            result.loop_seconds.setdefault(size, []).append(seconds)
    return result


def different(sizes: list[int], requests: int) -> list[int]:
    """Leave out batch sizes that hold all requests as a smaller one does."""
    return [size for i, size in enumerate(sizes) if i == 0 or min(size, requests) > min(sizes[i - 1], requests)]


def ask(lm: Any, pairs: list[tuple[Any, Any]]) -> list[Any]:
    """The answers to all requests."""
    requests = [request for _, request in pairs]
    answers: list[Any] = getattr(lm, requests[0].request_type)(requests, disable_tqdm=True)
    return answers


def timed(answer: Callable[[], Any], device: str) -> tuple[Any, float]:
    """What was returned, and seconds: process CPU time, or wall-clock time on a GPU."""
    import torch

    def now() -> float:
        if device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    gc.collect()
    start = now()
    found = answer()
    return found, now() - start


def compare(pairs: list[tuple[Any, Any]], ours: list[Any], theirs: list[Any]) -> tuple[float, int]:
    """Largest difference of a log-likelihood, and documents whose metrics (or text) differ."""
    if isinstance(ours[0], str):
        return 0.0, sum(a != b for a, b in zip(ours, theirs, strict=True))
    difference = max(abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True))
    return difference, sum(
        decided(a) != decided(b) for a, b in zip(metrics(pairs, ours), metrics(pairs, theirs), strict=True)
    )


def decided(values: dict[str, Any]) -> dict[str, Any]:
    """What a document's metrics say of right and wrong; LAMBADA's perplexity is the log-likelihood itself."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or value in (0.0, 1.0)}


def metrics(pairs: list[tuple[Any, Any]], answers: list[Any]) -> list[Any]:
    """The task's own metrics of each document."""
    grouped: dict[Any, tuple[Any, Any, list[Any]]] = {}
    for (task, request), answer in zip(pairs, answers, strict=True):
        grouped.setdefault((id(task), request.doc_id), (task, request.doc, []))[2].append(answer)
    return [task.process_results(doc, results) for task, doc, results in grouped.values()]
