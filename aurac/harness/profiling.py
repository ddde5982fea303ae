"""Time and memory of every rank, measured side by side: in each round every rank once, attached and merged."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from tqdm import tqdm
from transformers import DynamicCache

from aurac.errors import ModelError
from aurac.harness.engine.forward import cache_keyword
from aurac.harness.sliced_model import SlicedModel
from aurac.results.profile import Cost

MODES = ("unmerged", "merged")
_SEED = 1234
"""Of the prompts, which are random tokens: time does not depend on them."""


@dataclass(frozen=True)
class Workload:
    """What is measured.

    Attributes:
        prompt_tokens: Tokens of each prompt.
        new_tokens: Tokens generated after it, greedily, without an end.
        batch_size: Prompts at a time.
        repeats: Rounds that count; one before them does not.
    """

    prompt_tokens: int = 512
    new_tokens: int = 32
    batch_size: int = 1
    repeats: int = 5


@dataclass(frozen=True)
class _Once:
    """One measurement: seconds of the prefill, seconds of one new token, bytes."""

    prefill: float
    decode: float
    memory: int | None


def measure_costs(model: SlicedModel, workload: Workload, *, progress: bool = True) -> dict[int, tuple[Cost, Cost]]:
    """Measure every slice of the model; returns rank -> cost unmerged and merged, medians over the repeats.

    The order of the ranks turns round after every round, so that a machine that becomes warm or busy favours none.

    Raises:
        ModelError: If prompt and new tokens do not fit into the model's context, or into memory.
    """
    _check(model, workload)
    shape = (workload.batch_size, workload.prompt_tokens)
    generator = torch.Generator().manual_seed(_SEED)
    prompts = torch.randint(model.vocab_size, shape, generator=generator).to(model.device)
    found: dict[tuple[int, str], list[_Once]] = defaultdict(list)
    total = (workload.repeats + 1) * len(model.ranks) * len(MODES)
    with tqdm(total=total, desc="profiling", unit="measurement", disable=not progress) as bar:
        for number in range(workload.repeats + 1):
            for rank in model.ranks if number % 2 else reversed(model.ranks):
                for mode in MODES:
                    once = _measure_rank(model, mode, rank, prompts, workload)
                    if number > 0:  # the first round warms up
                        found[rank, mode].append(once)
                    bar.update()
    return {rank: (_median(found[rank, "unmerged"]), _median(found[rank, "merged"])) for rank in model.ranks}


def _check(model: SlicedModel, workload: Workload) -> None:
    """Raise `ModelError` if the workload is none that this model can do."""
    if not model.takes_cache:
        raise ModelError("this model takes no key-value cache, so its time per new token cannot be measured.")
    longest = model.max_positions
    wanted = workload.prompt_tokens + workload.new_tokens
    if longest is not None and wanted > longest:
        raise ModelError(
            f"{workload.prompt_tokens} prompt tokens and {workload.new_tokens} new ones are {wanted}, the context of "
            f"this model has {longest}. Give fewer with --prompt-tokens or --new-tokens."
        )


def _measure_rank(model: SlicedModel, mode: str, rank: int, prompts: torch.Tensor, workload: Workload) -> _Once:
    try:
        with getattr(model, mode)(rank) as served:
            return _measure(served, prompts, workload.new_tokens)
    except torch.OutOfMemoryError as exc:
        raise ModelError(
            f"rank {rank} ({mode}) with {workload.batch_size} prompts of {workload.prompt_tokens} tokens does not fit "
            "into the memory of the GPU. Give fewer with --batch-size or --prompt-tokens."
        ) from exc


@torch.inference_mode()
def _measure(model: Any, prompts: torch.Tensor, new_tokens: int) -> _Once:
    """Run prompts and greedy new tokens once; the clock waits for the device."""
    cuda = prompts.device.type == "cuda"
    wait: Callable[[], object] = (lambda: torch.cuda.synchronize(prompts.device)) if cuda else (lambda: None)
    few = {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}
    cache = {str(cache_keyword(model)): DynamicCache(config=model.config)}
    if cuda:
        torch.cuda.reset_peak_memory_stats(prompts.device)
    wait()
    started = time.perf_counter()
    out = model(input_ids=prompts, use_cache=True, **few, **cache)
    wait()
    prefilled = time.perf_counter()
    for _ in range(new_tokens):
        token = out.logits[:, -1].argmax(-1, keepdim=True)  # (batch, 1)
        out = model(input_ids=token, use_cache=True, **cache)
    wait()
    decode = (time.perf_counter() - prefilled) / new_tokens
    memory = torch.cuda.max_memory_allocated(prompts.device) if cuda else None
    return _Once(prefilled - started, decode, memory)


def _median(found: list[_Once]) -> Cost:
    memory = [once.memory for once in found if once.memory is not None]
    return Cost(
        prefill_seconds=median(once.prefill for once in found),
        decode_seconds=median(once.decode for once in found),
        peak_memory_bytes=max(memory) if memory else None,
        all_prefill_seconds=tuple(once.prefill for once in found),
        all_decode_seconds=tuple(once.decode for once in found),
    )
