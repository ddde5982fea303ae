"""Generation keeps its batch full: a finished row makes room for the next prompt, and calls are few."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lm_eval.models.huggingface import HFLM
from transformers import LlamaForCausalLM

from aurac.harness.engine.lm import AuracLM
from engine_cases import generation
from test_work import failing

Pair = tuple[AuracLM, HFLM]
PROMPTS = [
    f"{letter}{other} " * (1 + (3 * i + j) % 7) for i, letter in enumerate("qwxyzj") for j, other in enumerate("dfgh")
]
UNTIL = ["e", "a", "t", "o"]  # letters that a random model writes early or late


def texts(lm: AuracLM | HFLM, *, most: int = 16, until: list[str] = UNTIL) -> list[str]:
    asked = [generation(prompt, until=until, max_gen_toks=most) for prompt in PROMPTS]
    return list(lm.generate_until(asked, disable_tqdm=True))


@pytest.fixture(scope="module")
def wanted(pair_of: Callable[..., Pair], model: LlamaForCausalLM) -> list[str]:
    return texts(pair_of(model)[1])


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_texts_are_those_of_hflm_and_calls_are_few(
    rows: int, pair_of: Callable[..., Pair], model: LlamaForCausalLM, wanted: list[str]
) -> None:
    ours, _ = pair_of(model, batch_size=rows)
    assert texts(ours) == wanted
    work = ours.reset_work()
    longest = 16
    assert work.decode_calls <= 1.2 * (work.tokens_generated / min(rows, len(PROMPTS)) + longest)
    assert work.forward_calls <= work.decode_calls + work.documents


def test_a_full_batch_admits_prompts_several_at_a_time(pair_of: Callable[..., Pair], model: LlamaForCausalLM) -> None:
    ours, _ = pair_of(model, batch_size=8)
    texts(ours)
    work = ours.reset_work()
    assert work.forward_calls - work.decode_calls < work.documents / 2


@pytest.mark.parametrize("budget", [5, 16])
def test_long_prompts_are_read_in_pieces(
    budget: int, pair_of: Callable[..., Pair], model: LlamaForCausalLM, wanted: list[str]
) -> None:
    ours, _ = pair_of(model, token_budget=budget)
    assert ours.capability.level == "shared"
    largest = []
    with model.register_forward_pre_hook(lambda _, inputs: largest.append(inputs[0].numel())):
        assert texts(ours) == wanted
    assert max(largest) <= max(budget, 8)  # a step takes a token of each row


@pytest.mark.parametrize("above", [40, 12])
def test_running_out_of_memory_goes_on_with_fewer_rows_and_the_same_texts(
    above: int, pair_of: Callable[..., Pair], model: LlamaForCausalLM, wanted: list[str]
) -> None:
    ours, _ = pair_of(model)
    assert ours.capability.level == "shared"
    with (
        failing(model, "CUDA out of memory. Tried to allocate 2 GiB", above=above),
        pytest.warns(UserWarning, match=r"out of memory .*going on with \d+ tokens per batch"),
    ):
        assert texts(ours) == wanted
    assert ours.reset_work().backed_off >= 1


def test_texts_behind_a_shared_header_stream_too(pair_of: Callable[..., Pair], model: LlamaForCausalLM) -> None:
    header = "qj" * 26
    ours, theirs = pair_of(model, batch_size=3)
    asked = [generation(header + prompt[:9], until=UNTIL, max_gen_toks=12) for prompt in PROMPTS]
    assert ours.generate_until(asked, disable_tqdm=True) == theirs.generate_until(asked, disable_tqdm=True)
    assert ours.work.headers >= 1


def test_padding_of_prompts_costs_less_than_another_call(lms: Pair) -> None:
    texts(lms[0])
    # Up to 48 tokens a call (`CPU_CALL`); only calls of prompts are padded at all.
    work = lms[0].reset_work()
    assert work.padding_tokens <= 48 * (work.forward_calls - work.decode_calls)
