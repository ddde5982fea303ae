"""Models whose attention cannot share prefixes are scored correctly all the same, and the engine says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from lm_eval.models.huggingface import HFLM

from aurac.harness.engine.lm import AuracLM
from engine_cases import WINDOW, assert_same, generation, requests, rolling
from tolerance import same_log_likelihoods

Pair = tuple[AuracLM, HFLM]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.2}
LLAMA_LIKE = SMALL | {"intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": WINDOW}
CONFIGS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "gpt2": (
        "shared",
        lambda v: tf.GPT2Config(
            vocab_size=v, n_embd=32, n_layer=2, n_head=4, n_positions=WINDOW, initializer_range=0.2
        ),
    ),
    "gpt-neox": (
        "shared",
        lambda v: tf.GPTNeoXConfig(vocab_size=v, **SMALL, intermediate_size=64, max_position_embeddings=WINDOW),
    ),
    "opt": (
        "shared",
        lambda v: tf.OPTConfig(
            vocab_size=v,
            hidden_size=32,
            word_embed_proj_dim=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=WINDOW,
            init_std=0.2,
        ),
    ),
    "qwen3": ("shared", lambda v: tf.Qwen3Config(vocab_size=v, **LLAMA_LIKE, head_dim=8)),
    "mistral with a window beyond ours": (
        "shared",
        lambda v: tf.MistralConfig(vocab_size=v, **LLAMA_LIKE, sliding_window=WINDOW),
    ),
    "mistral with a sliding window": ("rows", lambda v: tf.MistralConfig(vocab_size=v, **LLAMA_LIKE, sliding_window=8)),
    "gemma2 with soft-capped logits": (
        "rows",
        lambda v: tf.Gemma2Config(
            vocab_size=v, **LLAMA_LIKE, head_dim=8, sliding_window=8, final_logit_softcapping=2.0
        ),
    ),
    "gemma2 with a window beyond ours": (
        "shared",
        lambda v: tf.Gemma2Config(
            vocab_size=v, **LLAMA_LIKE, head_dim=8, sliding_window=WINDOW, final_logit_softcapping=2.0
        ),
    ),
    "gpt-neo with local layers": (
        "rows",  # its table of who sees whom ends at the window, where packed choices begin
        lambda v: tf.GPTNeoConfig(
            vocab_size=v,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            max_position_embeddings=WINDOW,
            window_size=48,
            attention_types=[[["global", "local"], 1]],
            initializer_range=0.2,
        ),
    ),
    "xglm (no mask broadcast over rows)": (
        "shared",
        lambda v: tf.XGLMConfig(
            vocab_size=v,
            d_model=32,
            ffn_dim=64,
            num_layers=2,
            attention_heads=4,
            max_position_embeddings=WINDOW,
            init_std=0.2,
        ),
    ),
    "bloom (ALiBi)": (
        "rows",
        lambda v: tf.BloomConfig(vocab_size=v, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2),
    ),
    "mamba (recurrent)": (
        "rows",
        lambda v: tf.MambaConfig(
            vocab_size=v, hidden_size=32, num_hidden_layers=2, state_size=4, initializer_range=0.2
        ),
    ),
    "cohere (scaled logits)": ("shared", lambda v: tf.CohereConfig(vocab_size=v, **LLAMA_LIKE, logit_scale=0.5)),
}
HEADER = "Question: the cat sat on the mat. Is it so, and if it is, why? "
PROMPTS = (f"{HEADER}yes", f"{HEADER}or no")  # behind a header
ASKED = [
    (f"Question: the cat sat on the mat. {word * 20} Answer:", choice)
    for word in "abc"
    for choice in (" yes", " yes no", " no")
]


def build(name: str, vocabulary: int) -> Any:
    torch.manual_seed(0)
    return tf.AutoModelForCausalLM.from_config(CONFIGS[name][1](vocabulary)).eval()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore:slower path")
def test_every_architecture_has_hflms_answers_by_the_fastest_way_it_allows(
    name: str, pair_of: Callable[..., Pair], tokenizer: Any
) -> None:
    pair = pair_of(build(name, len(tokenizer)), max_length=WINDOW)
    assert_same(*pair, requests(*ASKED))
    assert pair[0].capability.level == CONFIGS[name][0], pair[0].capability.reason
    assert (pair[0].work.fallback is None) == (CONFIGS[name][0] == "shared")
    text = [rolling("the cat sat on the mat" * 5)]
    assert pair[0].loglikelihood_rolling(text) == same_log_likelihoods(pair[1].loglikelihood_rolling(text))
    asked = [generation(prompt, until=["zq"], max_gen_toks=4) for prompt in (*PROMPTS, "the cat")]
    assert pair[0].generate_until(asked) == pair[1].generate_until(asked)
    assert pair[0].work.rows_projected == pair[0].work.rows_asked


def test_the_slower_path_is_said_once_and_recorded(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    ours, _ = pair_of(build("mistral with a sliding window", len(tokenizer)))
    with pytest.warns(UserWarning, match=r"slower path for this model: sliding-window attention \(8 tokens\)"):
        ours.loglikelihood(requests(*ASKED), disable_tqdm=True)
    ours.loglikelihood(requests(*ASKED), disable_tqdm=True)
    assert ours.reset_work().fallback == "sliding-window attention (8 tokens)"


@pytest.mark.filterwarnings("ignore:slower path")
def test_an_encoder_decoder_is_left_to_hflm(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    torch.manual_seed(0)
    config = tf.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    pair = pair_of(tf.T5ForConditionalGeneration(config).eval())
    assert_same(*pair, requests(*ASKED))
    assert pair[0].reset_work().fallback == "encoder-decoder model"


def test_a_model_that_ignores_the_mask_is_found_out_by_the_trial(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    model = build("qwen3", len(tokenizer))
    plain = model.model.forward

    def deaf(*args: Any, attention_mask: Any = None, **kwargs: Any) -> Any:  # noqa: ARG001
        return plain(*args, **kwargs)

    model.model.forward = deaf
    pair = pair_of(model)
    with pytest.warns(UserWarning, match="a trial gave other numbers"):
        assert_same(*pair, requests(*ASKED))
    assert pair[0].capability.level == "rows"


def test_left_padding_tokenizers_make_no_difference(pair_of: Callable[..., Pair], tokenizer: Any) -> None:
    left = tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token="<s>", eos_token="</s>", padding_side="left"
    )
    assert_same(*pair_of(build("qwen3", len(tokenizer)), left), requests(*ASKED))
