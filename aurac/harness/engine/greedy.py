"""Which `generate_until` requests are plain greedy decoding, and their prompts' tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from lm_eval.models.utils import normalize_gen_kwargs

from aurac.harness.engine.queries import Tokens

PLAIN = {"until", "max_gen_toks", "do_sample", "temperature"}
# Settings of a model's generation_config that greedy decoding does not look at.
SILENT = {
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "max_length",
    "use_cache",
    "_from_model_config",
    "transformers_version",
}


def not_greedy(lm: Any, options: dict[str, Any]) -> str | None:
    """Say why a request with these `gen_kwargs` is left to HFLM; None if it is plain greedy decoding.

    Example:
        >>> not_greedy(None, {"until": ["."], "num_beams": 4})
        'generation with num_beams'
    """
    kwargs = normalize_gen_kwargs(options, 1)
    if odd := sorted(set(kwargs) - PLAIN):
        return f"generation with {', '.join(odd)}"
    if kwargs["do_sample"]:
        return "generation by sampling"
    config = getattr(lm.model, "generation_config", None)
    if config is None:
        return "the model has no generation_config"
    if odd := sorted(name for name, value in config.to_diff_dict().items() if value and name not in SILENT):
        return f"generation_config with {', '.join(odd)}"
    most = normalize_gen_kwargs(options, lm.max_gen_toks)["max_gen_toks"]
    if not 0 < most < lm.max_length:
        return f"max_gen_toks {most} outside the window"
    return None


def prompt_tokens(lm: Any, prompt: str) -> Tokens:
    """Token ids of a prompt as `HFLM.tok_batch_encode` makes them; it tests for the BOS token unlike `tok_encode`."""
    ids, _ = lm.tok_batch_encode([prompt], truncation=lm.truncation)
    tokens: Tokens = ids[0].numpy().astype(np.int32)
    return tokens
