"""Generated texts are HFLM's, and a finished row leaves the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from transformers import GenerationConfig, LlamaForCausalLM

from aurac.errors import TaskError
from aurac.harness.engine.greedy import LOUD, OF_TASKS, SILENT
from aurac.harness.engine.lm import AuracLM
from engine_cases import generation, tiny_llama

Pair = tuple[AuracLM, HFLM]
HEADER = "Question: the cat sat on the mat. Answer: yes\n\n" * 2
PROMPTS = [
    "one two",
    "the cat",
    f"{HEADER[:40]}a b",
    f"{HEADER[:40]}c",
    f"{HEADER[:40]}the dog ran. Answer:",
    "x" * 30,
    "one two",
]


def assert_same_texts(pair: Pair, prompts: list[str], **options: Any) -> list[str]:
    asked = [generation(prompt, **options) for prompt in prompts]
    found = pair[0].generate_until(asked, disable_tqdm=True)
    assert found == pair[1].generate_until(asked, disable_tqdm=True)
    return found


@pytest.mark.parametrize("until", [["\n\n"], ["e", "zq"], [" the"], ["</s>"], []])
@pytest.mark.parametrize("most", [1, 12])
def test_texts_are_those_of_hflm(until: list[str], most: int, lms: Pair) -> None:
    assert_same_texts(lms, PROMPTS, until=until, max_gen_toks=most)
    assert lms[0].work.fallback is None


def test_a_stop_string_that_the_model_writes_ends_its_row_only(lms: Pair) -> None:
    plain = assert_same_texts(lms, PROMPTS, until=[], max_gen_toks=12)
    lms[0].reset_work()
    stop = plain[0][3:5]  # written by the first row on its way
    assert_same_texts(lms, PROMPTS, until=[stop], max_gen_toks=12)
    assert 0 < lms[0].reset_work().tokens_generated < 12 * len(set(PROMPTS))


def test_a_token_that_the_model_ends_texts_with_ends_a_row(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    model = tiny_llama(len(tokenizer), seed=3)
    ids = torch.tensor([tokenizer.encode(PROMPTS[0])])
    written = model.generate(ids, do_sample=False, max_new_tokens=4, pad_token_id=1)[0, -1].item()
    model.generation_config.eos_token_id = [1, written]
    pair = pair_of(model)
    assert_same_texts(pair, [*PROMPTS, *"abcdefgh"], until=["zq"], max_gen_toks=20)
    work = pair[0].reset_work()
    assert work.tokens_generated < 20 * work.documents


def test_a_prompt_longer_than_the_window_is_cut_from_the_left(lms: Pair) -> None:
    assert_same_texts(lms, ["the cat zq " * 30, "one"], until=["\n\n"], max_gen_toks=10)
    assert lms[0].reset_work().truncated == 1


def test_an_empty_prompt_without_a_bos_token_is_an_error_that_says_so(lms: Pair) -> None:
    asked = [generation("", until=["e"], max_gen_toks=2)]
    with pytest.raises(RuntimeError):
        lms[1].generate_until(asked, disable_tqdm=True)
    with pytest.raises(AssertionError, match="a prompt has no tokens to generate after; HFLM fails on it too"):
        lms[0].generate_until(asked, disable_tqdm=True)


@pytest.mark.parametrize("alias", ["max_new_tokens", "max_tokens"])
def test_other_names_for_the_number_of_tokens_are_understood(alias: str, lms: Pair) -> None:
    assert_same_texts(lms, PROMPTS, until="\n\n", do_sample=False, temperature=0.0, **{alias: 5})
    assert lms[0].work.fallback is None


def test_every_set_of_options_is_answered_in_order(lms: Pair) -> None:
    asked = [generation(prompt, until=["a"], max_gen_toks=1 + i % 3) for i, prompt in enumerate(PROMPTS)]
    assert lms[0].generate_until(asked, disable_tqdm=True) == lms[1].generate_until(asked, disable_tqdm=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_beams": 2}, "generation with num_beams"),
        ({"temperature": 0.7, "top_k": 1}, "generation by sampling"),
        ({"repetition_penalty": 1.3}, "generation with repetition_penalty"),
    ],
)
def test_what_is_not_greedy_goes_hflms_own_way_and_says_so(options: dict[str, Any], reason: str, lms: Pair) -> None:
    said = rf"slower path for 3 requests: {reason}\. HFLM's own code answers them, no faster than a loop of lm-eval"
    with pytest.warns(UserWarning, match=said):
        assert_same_texts(lms, PROMPTS[:3], until=["\n"], max_gen_toks=4, **options)
    assert lms[0].work.fallback == reason
    assert lms[0].work.fallback_requests == 3


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False, "top_p": 0.95},
        {"temperature": 0.0, "top_k": 5, "min_p": 0.1},
        {"do_sample": False, "temperature": 0.7},
        {"num_beams": 1, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "length_penalty": 2.0},
        {"early_stopping": True, "num_return_sequences": 1, "bad_words_ids": None},
    ],
)
def test_options_that_greedy_decoding_does_not_look_at_stay_on_the_fast_path(
    options: dict[str, Any], lms: Pair
) -> None:
    assert_same_texts(lms, PROMPTS, until=["\n"], max_gen_toks=6, **options)
    assert lms[0].work.fallback is None


@pytest.mark.filterwarnings("ignore:slower path")
@pytest.mark.parametrize("options", [{"num_beams": 2}, {"do_sample": True, "temperature": 0.7}])
def test_a_fallback_never_probes_for_a_batch_size_and_its_rows_are_recorded(
    options: dict[str, Any], lms: Pair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def probe(*_: Any, **__: Any) -> int:
        raise AssertionError("64 rows x the whole window x 5 calls")

    monkeypatch.setattr(AuracLM, "_detect_batch_size", probe)
    asked = [generation(prompt, until=["zq"], max_gen_toks=12, **options) for prompt in PROMPTS]
    lms[0].generate_until(asked, disable_tqdm=True)
    # A row takes the longest prompt and 12 tokens, for each beam; the budget is 4096 tokens.
    size = (max(len(lms[0].tok_encode(prompt)) for prompt in PROMPTS) + 12) * int(options.get("num_beams", 1))
    assert lms[0].work.fallback_rows == min(64, 4096 // size)
    assert lms[0].batch_size == "auto"
    assert "batch_size" not in "".join(capfd.readouterr())


@pytest.mark.filterwarnings("ignore:slower path")
def test_a_fallback_that_runs_out_of_memory_goes_on_with_fewer_rows(
    pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    model = tiny_llama(len(tokenizer))
    pair = pair_of(model)

    def check(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 4:  # two rows of two beams
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.get_input_embeddings().register_forward_pre_hook(check)
    with pytest.warns(UserWarning, match=r"out of memory: going on with \d+ requests at a time"):
        assert_same_texts(pair, PROMPTS, until=["zq"], max_gen_toks=5, num_beams=2)
    rows = pair[0].reset_work().fallback_rows
    assert rows in (1, 2)
    assert_same_texts(pair, PROMPTS, until=["zq"], max_gen_toks=5, num_beams=2)  # the next rank begins there
    assert pair[0].work.fallback_rows == rows
    assert pair[0].work.backed_off == 0


def test_more_tokens_than_the_window_holds_are_an_error_that_says_so(lms: Pair) -> None:
    with pytest.raises(TaskError, match=r"a request generates up to 96 tokens .*, and the model's window holds 96"):
        lms[0].generate_until([generation("one", until=["zq"], max_gen_toks=96)], disable_tqdm=True)


@pytest.mark.filterwarnings("ignore:slower path")
@pytest.mark.parametrize(
    ("name", "value"), [("repetition_penalty", 1.3), ("num_beams", 2), ("suppress_tokens", [5, 6, 7])]
)
def test_a_model_whose_own_settings_change_texts_is_left_to_hflm(
    name: str, value: Any, pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    model = tiny_llama(len(tokenizer))
    setattr(model.generation_config, name, value)
    pair = pair_of(model)
    assert_same_texts(pair, PROMPTS, until=["\n"], max_gen_toks=6)
    assert pair[0].work.fallback == f"generation_config with {name}"


def test_a_task_that_undoes_the_models_own_settings_is_greedy(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    model = tiny_llama(len(tokenizer))
    model.generation_config.repetition_penalty = 1.3
    pair = pair_of(model)
    assert_same_texts(pair, PROMPTS, until=["\n"], max_gen_toks=6, repetition_penalty=1.0)
    assert pair[0].work.fallback is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0.8), ("cache_implementation", "dynamic"), ("length_penalty", 2.0), ("a_key_of_nobody", 3)],
)
def test_settings_of_the_model_that_greedy_decoding_does_not_look_at_stay_on_the_fast_path(
    name: str, value: Any, pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    model = tiny_llama(len(tokenizer))
    setattr(model.generation_config, name, value)
    pair = pair_of(model)
    assert_same_texts(pair, PROMPTS, until=["\n"], max_gen_toks=6)
    assert pair[0].work.fallback is None


def test_every_key_of_transformers_is_known() -> None:
    assert set(GenerationConfig().to_dict()) <= LOUD.keys() | SILENT | OF_TASKS


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 2}, {"token_budget": 8}])
def test_texts_do_not_depend_on_the_batches(
    options: dict[str, int], pair_of: Callable[..., Pair], model: LlamaForCausalLM
) -> None:
    assert_same_texts(pair_of(model, **options), PROMPTS, until=["e"], max_gen_toks=8)


def test_text_after_the_end_of_thinking_is_the_answer(pair_of: Callable[..., Pair], model: LlamaForCausalLM) -> None:
    plain = pair_of(model)[1].generate_until([generation("one two", until=[], max_gen_toks=12)], disable_tqdm=True)[0]
    for end in (plain[4:6], str(model.generate(torch.tensor([[5, 6]]), max_new_tokens=4)[0, -1].item())):
        assert_same_texts(pair_of(model, think_end_token=end), PROMPTS, until=["zq"], max_gen_toks=12)


def test_a_shared_header_is_forwarded_once(pair_of: Callable[..., Pair], model: LlamaForCausalLM) -> None:
    pair = pair_of(model)
    for header, headers in (("qj" * 30, 1), ("qj" * 20, 0)):  # of 60 tokens; of 40, too few to pay
        assert_same_texts(pair, [f"{header} q{letter} zq" for letter in "wxyzjkbd"], until=["zq"], max_gen_toks=3)
        work = pair[0].reset_work()
        assert work.headers == headers
        if headers:
            assert work.tokens_forwarded < work.tokens_one_by_one / 3
            assert work.tokens_forwarded == work.distinct_prefix_tokens
