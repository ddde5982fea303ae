"""Where attention or positions change with the length of the input, prefixes are shared below that length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from lm_eval.models.huggingface import HFLM
from packaging.version import Version

from aurac.harness.engine.capability import Capability, counts_keys, inspect_model
from aurac.harness.engine.lm import AuracLM
from engine_cases import WINDOW, assert_same, generation, requests, rolling
from tolerance import same_log_likelihoods

Pair = tuple[AuracLM, HFLM]
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": WINDOW,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
SHORT = [(f"short {word}", choice) for word in "abc" for choice in (" yes", " yes no", " no")]
LONG = [(f"{word * 20} is longer than a window of thirty", choice) for word in "xyz" for choice in (" yes", " no way")]
MODELS: dict[str, Callable[[int], Any]] = {
    "sliding": lambda v: tf.MistralConfig(vocab_size=v, **SMALL, sliding_window=30),
    "sliding in some layers": lambda v: tf.Gemma2Config(vocab_size=v, **SMALL, head_dim=8, sliding_window=30),
    "with sinks": lambda v: tf.GptOssConfig(
        vocab_size=v, **SMALL, head_dim=8, sliding_window=30, num_local_experts=4, num_experts_per_tok=2
    ),
    "in chunks": lambda v: tf.Llama4TextConfig(
        vocab_size=v,
        **SMALL,
        head_dim=8,
        attention_chunk_size=30,
        layer_types=["chunked_attention", "full_attention"],
        num_local_experts=2,
        intermediate_size_mlp=64,
    ),
    "positions by length": lambda v: tf.LlamaConfig(
        vocab_size=v,
        **(SMALL | {"max_position_embeddings": 30}),
        rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
    ),
}
REASONS = {
    "sliding": "sliding-window attention (30 tokens)",
    "sliding in some layers": "sliding-window attention (30 tokens)",
    "with sinks": "sliding-window attention (30 tokens)",
    "in chunks": "attention in chunks (30 tokens)",
    "positions by length": "rotary positions that depend on the length, from 30 tokens on",
}


@pytest.fixture(params=MODELS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(kind: str, pair_of: Callable[..., Pair], tokenizer: Any) -> Pair:
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(MODELS[kind](len(tokenizer))).eval()
    return pair_of(model, max_length=WINDOW)


def test_requests_below_the_length_share_their_prefixes(pair: Pair) -> None:
    assert_same(*pair, requests(*SHORT))
    work = pair[0].reset_work()
    assert work.fallback is None
    assert work.tokens_forwarded == work.distinct_prefix_tokens + work.padding_tokens
    texts = [generation(context, until=["zq"], max_gen_toks=5) for context, _ in SHORT]
    assert pair[0].generate_until(texts, disable_tqdm=True) == pair[1].generate_until(texts, disable_tqdm=True)
    assert pair[0].reset_work().fallback is None


def test_requests_beyond_it_take_the_slower_path_alone(pair: Pair, kind: str) -> None:
    said = rf"slower path for 6 of 15 requests, which are longer: {REASONS[kind].partition(' (')[0]}"
    with pytest.warns(UserWarning, match=said):
        assert_same(*pair, requests(*SHORT, *LONG))
    work = pair[0].reset_work()
    assert work.fallback == REASONS[kind]
    assert (work.requests, work.fallback_requests) == (15, 6)
    assert work.rows_projected == work.rows_asked
    mixed = [generation(context, until=["zq"], max_gen_toks=5) for context, _ in (*SHORT[::3], *LONG[::2])]
    assert pair[0].generate_until(mixed, disable_tqdm=True) == pair[1].generate_until(mixed, disable_tqdm=True)
    work = pair[0].reset_work()
    assert (work.requests, work.fallback_requests, work.fallback) == (6, 3, REASONS[kind])


@pytest.mark.filterwarnings("ignore:slower path")
def test_new_tokens_count_for_the_length(pair: Pair) -> None:
    asked = [generation("short a", until=["zq"], max_gen_toks=30)]
    assert pair[0].generate_until(asked, disable_tqdm=True) == pair[1].generate_until(asked, disable_tqdm=True)
    assert pair[0].work.fallback_requests == 1


@pytest.mark.filterwarnings("ignore:slower path")
def test_whole_texts_in_windows_of_the_model_are_right_too(pair: Pair) -> None:
    texts = [rolling("the cat sat on the mat" * 9), rolling("the cat")]
    wanted = pair[1].loglikelihood_rolling(texts, disable_tqdm=True)
    assert pair[0].loglikelihood_rolling(texts, disable_tqdm=True) == same_log_likelihoods(wanted)


def test_a_window_that_no_setting_names_is_found_by_the_longest_request(
    pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    """Two layers that see 30 tokens, in a model whose configuration says that all layers see everything."""
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(MODELS["sliding"](len(tokenizer))).eval()
    pair = pair_of(model, max_length=WINDOW)
    pair[0]._capability = Capability("shared")  # as if nothing had been read from the configuration
    with pytest.warns(UserWarning, match=r"slower path for this model: the longest requests \(\d+ tokens\): a trial"):
        assert_same(*pair, requests(*SHORT, *LONG))
    assert pair[0].capability.level == "rows"
    assert str(pair[0].work.fallback).startswith("the longest requests (")


def test_models_that_see_all_keys_are_not_tried_out_twice(pair_of: Callable[..., Pair], model: Any) -> None:
    pair = pair_of(model)
    assert not counts_keys(pair[0])
    assert pair[0].capability.level == "shared"
    assert "trial" in pair[0].reset_work().seconds
    pair[0].loglikelihood(requests(*SHORT), disable_tqdm=True)
    assert "trial" not in pair[0].work.seconds


@pytest.mark.skipif(
    Version(tf.__version__) < Version("5.24"),
    reason="this BigBird fails the engine's trial (seen with 5.16), so its tasks take HFLM's way",
)
def test_a_row_is_never_longer_than_a_table_by_place(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    """BigBird looks up positions and types by place in the row, in tables as long as its window."""
    torch.manual_seed(0)
    small = {name: value for name, value in SMALL.items() if name != "num_key_value_heads"}
    config = tf.BigBirdConfig(vocab_size=len(tokenizer), **small, is_decoder=True, attention_type="original_full")
    pair = pair_of(tf.AutoModelForCausalLM.from_config(config).eval())
    assert inspect_model(pair[0]).room == WINDOW
    many = [(f"{'the long one ' * 4}{word}", f" {choice * 7}") for word in "ab" for choice in "cdefghijklmnop"]
    assert_same(*pair, requests(*SHORT, *many))
    assert pair[0].work.fallback is None
