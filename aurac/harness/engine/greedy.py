"""Which `generate_until` requests are plain greedy decoding, and their prompts' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from transformers import GenerationConfig

from aurac.harness.engine.queries import Query, Tokens, UnscorableRequestError, check_ids

# What a task's options may name without leaving greedy decoding, beside LOUD ones at their neutral value.
PLAIN = {"until", "max_gen_toks", "do_sample"}
# Keys that choose among samples or beams, or how a text is computed: greedy decoding writes the same one.
SILENT = {
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "top_h",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "length_penalty",
    "early_stopping",
    "renormalize_logits",
    "cache_implementation",
    "cache_config",
    "max_cache_len",
    "low_memory",
    "compile_config",
    "disable_compile",
    "continuous_batching_config",
    "prefill_chunk_size",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "output_logits",
    "is_assistant",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "target_lookbehind",
    "assistant_ensemble_weight",
    "max_matching_ngram_size",
}
# Keys that matter in a task's options only: HFLM's own arguments replace those of a generation_config, or the engine
# reads them there.
OF_TASKS = {
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "max_length",
    "use_cache",
    "return_dict_in_generate",
    "do_sample",
    "_from_model_config",
    "transformers_version",
}
# Keys that change what greedy decoding writes, and the value at which they do not.
LOUD: dict[str, Any] = {
    "assistant_early_exit": None,
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "constraints": None,
    "diversity_penalty": 0.0,
    "dola_layers": None,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "exponential_decay_length_penalty": None,
    "force_words_ids": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "guidance_scale": 1.0,
    "max_new_tokens": None,
    "max_time": None,
    "min_length": 0,
    "min_new_tokens": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "num_return_sequences": 1,
    "penalty_alpha": 0.0,
    "prompt_lookup_num_tokens": None,
    "remove_invalid_values": False,
    "repetition_penalty": 1.0,
    "sequence_bias": None,
    "speculation_type": None,
    "stop_strings": None,
    "suppress_tokens": None,
    "token_healing": False,
    "use_mtp": False,
    "watermarking_config": None,
}


def not_greedy(lm: Any, options: dict[str, Any]) -> str | None:
    """Say why a request with these `gen_kwargs` is left to HFLM; None if it is plain greedy decoding.

    Example:
        >>> not_greedy(None, {"until": ["."], "num_beams": 4})
        'generation with num_beams'
    """
    kwargs = normalize_gen_kwargs(options, 1)
    if odd := sorted(name for name in set(kwargs) - PLAIN - SILENT if is_loud(name, kwargs[name])):
        return f"generation with {', '.join(odd)}"
    if kwargs["do_sample"]:
        return "generation by sampling"
    config = getattr(lm.model, "generation_config", None)
    if config is None:
        return "the model has no generation_config"
    # What the options name replaces what the model's configuration says, and is harmless as found above. Keys that
    # transformers does not know, it does not look at.
    looked_at = set(GenerationConfig().to_dict()) - SILENT - OF_TASKS - set(kwargs)
    found = {name: value for name, value in config.to_diff_dict().items() if name in looked_at}
    if odd := sorted(name for name, value in found.items() if is_loud(name, value)):
        return f"generation_config with {', '.join(odd)}"
    return None


def is_loud(name: str, value: Any) -> bool:
    """Tell whether a key changes what greedy decoding writes; one that nobody knows is HFLM's to refuse."""
    return name not in LOUD or (bool(value) and value != LOUD[name])


def no_room(most: int, window: int, who: str) -> str:
    """Return what is said of a task that asks for `most` new tokens in a window that has no room for them."""
    return (
        f"{who} generates up to {most} tokens (max_gen_toks), and the model's window holds {window}, prompt included. "
        "Leave the task out, give it a smaller max_gen_toks, or raise --max-length if the model can read more."
    )


def prompt_tokens(lm: Any, prompt: str) -> Tokens:
    """Token ids of a prompt as `HFLM.tok_batch_encode` makes them; it tests for the BOS token unlike `tok_encode`."""
    ids, _ = lm.tok_batch_encode([prompt], truncation=lm.truncation)
    tokens: Tokens = ids[0].numpy().astype(np.int32)
    return tokens


def prompt_queries(lm: Any, prompts: Sequence[str], longest: int) -> list[Query]:
    """Return prompts as queries that ask for what follows their last token, cut from the left to `longest` tokens.

    Raises:
        UnscorableRequestError: If a prompt has no tokens.
    """
    queries = []
    for prompt in prompts:
        tokens = prompt_tokens(lm, prompt)
        if not len(tokens):
            raise UnscorableRequestError(
                f"a prompt has no tokens to generate after; HFLM fails on it too (prompt: {prompt!r}). "
                "Give the task a prompt, or pass add_bos_token=True."
            )
        # The target is never read: a prompt asks for the distribution after its last token.
        queries.append(Query(tokens[-longest:], tokens[-1:], len(tokens) > longest))
    check_ids(queries, lm.model.get_input_embeddings().weight.shape[0])
    return queries


def cut_text(lm: Any, tokens: list[int], until: list[str]) -> str:
    """Decode generated tokens and cut the text as `HFLM.generate_until` does."""
    think = lm.think_end_token
    if isinstance(think, int) and think in tokens:
        tokens = tokens[len(tokens) - tokens[::-1].index(think) :]
    text: str = lm.tok_decode(tokens)
    text = text.lstrip() if isinstance(think, int) else text
    return str(postprocess_generated_text(text, until, think if isinstance(think, str) else None))
