"""Counts of the work report, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from transformers import LlamaForCausalLM

from aurac.harness.engine.forward import Forward
from aurac.harness.engine.lm import AuracLM
from aurac.harness.engine.work import Work
from engine_cases import assert_same, generation, requests
from tolerance import same_log_likelihoods

Pair = tuple[AuracLM, HFLM]


def test_tokens_rows_and_calls_of_one_document(lms: Pair) -> None:
    ours, _ = lms
    # One token per letter. The inputs are qwx and qwxy (last tokens are not read): context qw, then x, then y.
    ours.loglikelihood(requests(("qw", "xyz"), ("qw", "xyj"), ("qw", "xk")), disable_tqdm=True)
    work = ours.reset_work()
    assert (work.requests, work.documents, work.headers, work.truncated) == (3, 1, 0, 0)
    assert work.distinct_prefix_tokens == 4  # q w x y
    assert work.tokens_one_by_one == 4 + 3  # qwxy (twice the same input) and qwx
    assert work.tokens_forwarded == 4
    assert work.padding_tokens == 0
    assert work.rows_asked == work.rows_projected == 3  # after w, x, y
    assert ours.work.requests == 0  # reset


def test_a_truncated_context_is_counted(lms: Pair) -> None:
    ours, _ = lms
    ours.loglikelihood(requests(("q" * 200, "x"), ("q", "x")), disable_tqdm=True)
    assert ours.reset_work().truncated == 1


def test_documents_behind_a_header_forward_it_once(lms: Pair) -> None:
    ours, _ = lms
    shots = "q" * 60
    ours.loglikelihood(
        requests(*((f"{shots}{letter * 12}", choice) for letter in "wxyzjk" for choice in "bd")), disable_tqdm=True
    )
    work = ours.reset_work()
    # 72 + 6 x 12 tokens would be packed as one document of 60 + 72; that is fewer than 512.
    assert work.tokens_forwarded == work.distinct_prefix_tokens == 60 + 6 * 12
    assert work.rows_projected == work.rows_asked == 6


@contextmanager
def failing(model: LlamaForCausalLM, message: str, *, above: int = 0) -> Iterator[None]:
    """Let the model raise where it is called with more than `above` tokens."""

    def check(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > above:
            raise torch.OutOfMemoryError(message) if "memory" in message else RuntimeError(message)

    with model.register_forward_pre_hook(check):
        yield


def test_running_out_of_memory_halves_the_batches_and_says_so(
    pair_of: Callable[..., Pair], model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair_of(model, token_budget=1000)
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED", 8)
    asked = requests(*((f"{letter}{i} " * 8, end) for i, letter in enumerate("qwxyzjkbd" * 4) for end in ("a b", "c")))
    wanted = theirs.loglikelihood(asked, disable_tqdm=True)
    assert ours.capability.level == "shared"
    with (
        failing(model, "CUDA out of memory. Tried to allocate 2 GiB", above=150),
        pytest.warns(UserWarning, match=r"out of memory \(CUDA out of memory.*going on with \d+ tokens per batch"),
    ):
        found = ours.loglikelihood(asked, disable_tqdm=True)
    assert [value for value, _ in found] == same_log_likelihoods([value for value, _ in wanted])
    work = ours.reset_work()
    assert work.backed_off >= 1
    assert work.token_budget is not None
    assert work.token_budget < 1000


@pytest.mark.parametrize("message", ["a broken kernel", "CUDA out of memory. Tried to allocate 2 GiB"])
def test_an_error_that_smaller_batches_do_not_cure_is_raised(message: str, lms: Pair, model: LlamaForCausalLM) -> None:
    assert lms[0].capability.level == "shared"
    with failing(model, message), pytest.raises(RuntimeError, match=message):
        lms[0].loglikelihood(requests(("q", "w")), disable_tqdm=True)


def test_the_report_is_plain_values(lms: Pair) -> None:
    assert_same(*lms, requests(("q", "w")))
    report = lms[0].work.to_dict()
    assert report["fallback"] is None
    assert report["tokens_over_limit"] == 1.0
    assert set(report["seconds"]) == {"trial", "plan", "document"}


def test_the_arithmetic_of_every_call_is_timed_within_its_phase(lms: Pair) -> None:
    ours, _ = lms
    ours.loglikelihood(requests(("q" * 60, "x"), ("w" * 60, "y z")), disable_tqdm=True)
    ours.generate_until([generation("qwx", max_gen_toks=8)], disable_tqdm=True)
    work = ours.reset_work()
    assert set(work.compute_seconds) == {"forward", "projection", "softmax"}
    assert all(seconds > 0 for seconds in work.compute_seconds.values())
    calling = sum(work.seconds[name] for name in ("document", "context", "generate"))
    assert sum(work.compute_seconds.values()) < calling


def test_the_clock_waits_for_a_gpu_only_where_profiling_was_asked_for(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    elsewhere, work = torch.device("meta"), Work()
    for profiled in (False, True):
        forward = Forward(model, device=elsewhere, work=work, profiled=profiled)
        with forward.softmax():
            pass
        assert bool(waited) == bool(work.compute_seconds) == profiled
