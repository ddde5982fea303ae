"""Every log-likelihood is HFLM's: request by request, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lm_eval.models.huggingface import HFLM

from aurac.harness.engine.lm import AuracLM
from engine_cases import assert_same, requests, tiny_llama
from tolerance import same_log_likelihoods

Pair = tuple[AuracLM, HFLM]
HEADER = "Question: the cat sat on the mat. Answer: yes\n\nQuestion: the dog ran to the sun. Answer: no\n\n"


def choices(context: str, *continuations: str) -> list[tuple[str, str]]:
    return [(context, continuation) for continuation in continuations]


CASES: dict[str, list[tuple[str, str]]] = {
    "choices of one token": choices("one two", " a", " b", " c", " d"),
    "choices of very different length": choices(
        "the cat", " sat", " sat on the mat and the dog ran to the sun", " a b"
    ),
    "choices that are prefixes of one another": choices("one", " two", " two three", " two three a b", " two three a"),
    "choices that share their first tokens": choices("one", " two three a", " two three b", " two c"),
    "identical choices": choices("one", " two", " two", " three", " two"),
    "identical requests in different places": [("one", " two"), ("the cat", " sat"), ("one", " two")],
    "an empty context": choices("", "the cat", "the dog", "one"),
    "an empty context with a continuation that begins with the BOS token": choices("", "<s>the cat"),
    "a context of spaces only with something before": choices("one  ", "two", " three"),
    "spaces that move to the continuation": choices("Question: ", "yes", "no") + choices("one  \n ", "a"),
    "a token that crosses the border": choices("the c", "at sat on", "at the mat")
    + choices("on th", "e mat")
    + choices("Quest", "ion: a"),
    "several contexts with one continuation": [
        (f"the dog {word}", " ran to the sun") for word in ("and a", "and b", "on")
    ],
    "a context longer than the window": choices("the cat sat zxqj " * 30, " a", " on the mat xyzzy", " b c d e f"),
    "documents behind one header": [
        pair
        for word in "abcdefg"
        for pair in choices(f"{HEADER}Question: {word * 9} q{word}. Answer:", " yes", " no way")
    ],
    "headers within headers": [
        pair
        for head in ("first", "second")
        for word in "abcdefghijkl"
        for pair in choices(f"{HEADER[:60]}{head} w{head} k{head} z{word * 30} q. Answer:", " yes", " no")
    ],
    "requests that are prefixes of one another": [(HEADER[:i], HEADER[i : i + 9]) for i in range(1, 80, 4)],
    "one long and one short document": choices(HEADER, " yes") + choices("a", " b"),
    "long choices": choices("one", *(f" {word * 40} z" for word in "abcdefghijklmnop")),
}


@pytest.mark.parametrize("case", CASES)
def test_log_likelihoods_are_those_of_hflm(case: str, lms: Pair) -> None:
    assert_same(*lms, requests(*CASES[case]))
    assert lms[0].work.fallback is None


def test_a_whole_mixture_of_requests_is_answered_in_order(lms: Pair) -> None:
    assert_same(*lms, requests(*(pair for case in CASES.values() for pair in case)))


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 3}, {"token_budget": 7}, {"token_budget": 200}])
def test_answers_do_not_depend_on_the_batches(
    options: dict[str, int], pair_of: Callable[..., Pair], model: Any
) -> None:
    assert_same(*pair_of(model, **options), requests(*(pair for case in CASES.values() for pair in case)))


@pytest.mark.parametrize("attention", ["eager", "flex_attention"])
def test_other_attention_gives_the_same_answers_and_is_left_as_it_was(
    attention: str, pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    model = tiny_llama(len(tokenizer), attention="eager")
    ours, theirs = pair_of(model)
    wanted = theirs.loglikelihood(asked := requests(*CASES["documents behind one header"]), disable_tqdm=True)
    model.set_attn_implementation(attention)
    found = ours.loglikelihood(asked, disable_tqdm=True)
    assert [value for value, _ in found] == same_log_likelihoods([value for value, _ in wanted])
    assert model.config._attn_implementation == attention
    assert ours.work.fallback is None


def test_weights_may_change_between_calls(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    model = tiny_llama(len(tokenizer), seed=1)
    ours, theirs = pair_of(model)
    asked = requests(*CASES["documents behind one header"])
    first = assert_same(ours, theirs, asked)
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(-2.0)
    assert assert_same(ours, theirs, asked) != first
    assert ours.work.requests == 2 * len(asked)


def test_requests_are_planned_once_for_all_ranks(lms: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = lms
    asked = requests(*CASES["choices of one token"])
    first = ours.loglikelihood(asked, disable_tqdm=True)
    monkeypatch.setattr("aurac.harness.engine.lm.queries_of", lambda *_: pytest.fail("planned again"))
    assert ours.loglikelihood(requests(*CASES["choices of one token"]), disable_tqdm=True) == first


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("one two", ""), "no continuation token to score"),
        (("", "<s>"), "no continuation token to score"),
        (("one", " zq" * 200), "the model's window 96"),
    ],
)
def test_what_hflm_asserts_is_an_error_that_says_so(pair: tuple[str, str], message: str, lms: Pair) -> None:
    ours, theirs = lms
    with pytest.raises(AssertionError):
        theirs.loglikelihood(requests(pair), disable_tqdm=True)
    with pytest.raises(AssertionError, match=message):
        ours.loglikelihood(requests(pair), disable_tqdm=True)


def test_no_requests_have_no_answers(lms: Pair) -> None:
    assert lms[0].loglikelihood([], disable_tqdm=True) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_low_precision_differs_from_hflm_by_no_more_than_rounding(
    dtype: torch.dtype, pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    ours, theirs = pair_of(tiny_llama(len(tokenizer)).to(dtype))
    asked = requests(*CASES["documents behind one header"])
    found = ours.loglikelihood(asked, disable_tqdm=True)
    wanted = theirs.loglikelihood(asked, disable_tqdm=True)
    # bfloat16 keeps 8 bits of each of some ten logits.
    assert [value for value, _ in found] == pytest.approx([value for value, _ in wanted], rel=2**-7, abs=0.3)
    assert ours.work.fallback is None


words = st.lists(
    st.sampled_from(["the", " cat", " sat", "a", " ", "\n", "on the", "zq", "é", " 1"]), min_size=1, max_size=12
)
texts = words.map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    heads=st.lists(texts, min_size=1, max_size=3),
    tails=st.lists(st.tuples(st.integers(0, 2), texts, texts), min_size=1, max_size=12),
    budget=st.sampled_from([16, 64, 4096]),
)
def test_random_requests_have_hflms_answers(
    heads: list[str], tails: list[tuple[int, str, str]], budget: int, lms: Pair
) -> None:
    ours, theirs = lms
    ours._budget.tokens = budget
    pairs = [(heads[i % len(heads)] * 3 + middle, "x" + rest) for i, middle, rest in tails]
    asked = requests(*pairs)
    try:
        theirs.loglikelihood(asked, disable_tqdm=True)
    except AssertionError:  # a continuation that the tokenizer merged into the context
        with pytest.raises(AssertionError, match=r"no (continuation|context) token"):
            ours.loglikelihood(asked, disable_tqdm=True)
    else:
        assert_same(ours, theirs, asked)
