"""Which architectures the engine was run on beside HFLM, request by request; makes the table in docs/models.md.

    python benchmarks/architectures.py                    # all of them, two minutes on one CPU thread
    python benchmarks/architectures.py --only mistral     # those whose name contains this
    python benchmarks/architectures.py --write            # and replace the table in docs/models.md

Every model is made from its transformers configuration with tiny sizes and random weights, wide enough that what a
token sees changes its logits. Asked are choices behind contexts of different lengths (some behind a common header,
some longer than a window), whole texts, and greedy generation; HFLM answers one request at a time, or as
many as the engine's record says where the engine leaves texts to it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from aurac.harness.engine.lm import AuracLM

DOCS = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- made by benchmarks/architectures.py -->", "<!-- end -->"
WINDOW = 160
VOCABULARY = 258
TOLERANCE = 2e-4

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
    "max_position_embeddings": WINDOW,
    "vocab_size": VOCABULARY,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
GATED = SMALL | {"intermediate_size": 48, "num_key_value_heads": 2}
HEADS = GATED | {"head_dim": 8}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
LATENT: dict[str, Any] = {
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "n_group": 1,
    "topk_group": 1,
    "num_key_value_heads": 4,
}
SLIDING = ["sliding_attention", "full_attention"]
# Name -> (configuration class without "Config", its options). "+ w" names a variant.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("Llama", GATED),
    "Llama, rotary positions by length (dynamic)": (
        "Llama",
        GATED | {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ),
    "Mistral, window 40": ("Mistral", HEADS | {"sliding_window": 40}),
    "Ministral, window 40": ("Ministral", HEADS | {"sliding_window": 40, "layer_types": SLIDING}),
    "Gemma": ("Gemma", HEADS),
    "Gemma 2, window 40": ("Gemma2", HEADS | {"sliding_window": 40, "final_logit_softcapping": 5.0}),
    "Gemma 3, window 40": ("Gemma3Text", HEADS | {"sliding_window": 40, "layer_types": SLIDING}),
    "Phi": ("Phi", SMALL | {"intermediate_size": 48}),
    "Phi-3, window 40": ("Phi3", GATED | {"sliding_window": 40}),
    "Phi-3, long positions (longrope)": (
        "Phi3",
        GATED
        | {
            "original_max_position_embeddings": 40,
            "rope_parameters": {
                "rope_type": "longrope",
                "short_factor": [1.0] * 4,
                "long_factor": [4.0] * 4,
                "rope_theta": 1e4,
                "original_max_position_embeddings": 40,
                "factor": 4.0,
            },
        },
    ),
    "gpt-oss, window 40": (
        "GptOss",
        HEADS | {"sliding_window": 40, "layer_types": SLIDING, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "OLMo": ("Olmo", GATED),
    "OLMo 2": ("Olmo2", GATED),
    "OLMo 3, window 40": ("Olmo3", GATED | {"sliding_window": 40, "layer_types": SLIDING}),
    "Cohere": ("Cohere", GATED),
    "Cohere 2, window 40": ("Cohere2", HEADS | {"sliding_window": 40, "layer_types": SLIDING}),
    "StarCoder2, window 40": ("Starcoder2", GATED | {"sliding_window": 40}),
    "EXAONE 4, window 40": ("Exaone4", GATED | {"sliding_window": 40, "layer_types": SLIDING}),
    "Llama 4, chunks of 40": (
        "Llama4Text",
        HEADS
        | {
            "attention_chunk_size": 40,
            "layer_types": ["chunked_attention", "full_attention"],
            "intermediate_size_mlp": 48,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
        },
    ),
    "Qwen 2": ("Qwen2", GATED),
    "Qwen 3": ("Qwen3", HEADS),
    "Qwen 3 MoE": ("Qwen3Moe", HEADS | EXPERTS | {"num_experts": 4}),
    "Qwen 3 Next": (
        "Qwen3Next",
        HEADS
        | EXPERTS
        | {
            "num_experts": 4,
            "shared_expert_intermediate_size": 24,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    "Mixtral": ("Mixtral", HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "OLMoE": ("Olmoe", GATED | {"num_experts": 4, "num_experts_per_tok": 2}),
    "DeepSeek-V2": ("DeepseekV2", GATED | LATENT | {"topk_method": "greedy"}),
    "DeepSeek-V3": ("DeepseekV3", GATED | LATENT),
    "GLM 4": ("Glm4", HEADS | {"partial_rotary_factor": 0.5}),
    "Granite": ("Granite", GATED),
    "SmolLM3": ("SmolLM3", GATED),
    "StableLM": ("StableLm", GATED),
    "Nemotron": ("Nemotron", GATED),
    "Persimmon": ("Persimmon", GATED),
    "Falcon": ("Falcon", SMALL | {"new_decoder_architecture": False, "multi_query": True, "alibi": False}),
    "Falcon, ALiBi": ("Falcon", SMALL | {"alibi": True, "new_decoder_architecture": False}),
    "GPT-2": ("GPT2", SMALL | {"n_positions": WINDOW}),
    "GPT-NeoX": ("GPTNeoX", SMALL | {"intermediate_size": 48}),
    "GPT-J": ("GPTJ", SMALL | {"n_positions": WINDOW, "rotary_dim": 4}),
    "GPT-Neo, local layers": (
        "GPTNeo",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "max_position_embeddings": WINDOW,
            "window_size": 40,
            "attention_types": [[["global", "local"], 1]],
            "initializer_range": 0.2,
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
    ),
    "GPT BigCode": ("GPTBigCode", SMALL | {"n_positions": WINDOW}),
    "CodeGen": ("CodeGen", SMALL | {"n_positions": WINDOW, "rotary_dim": 4}),
    "OPT": ("OPT", SMALL | {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.2}),
    "XGLM": ("XGLM", SMALL | {"ffn_dim": 48, "d_model": 32, "num_layers": 2, "attention_heads": 4, "init_std": 0.2}),
    "BLOOM, ALiBi": ("Bloom", SMALL | {"n_layer": 2, "n_head": 4}),
    "MPT, ALiBi": ("Mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": WINDOW, "vocab_size": VOCABULARY,
                           "initializer_range": 0.2}),
    "BioGPT": ("BioGpt", SMALL | {"intermediate_size": 48}),
    "BERT as a decoder": ("Bert", SMALL | {"intermediate_size": 48, "is_decoder": True}),
    "BigBird as a decoder": (
        "BigBird",
        SMALL | {"intermediate_size": 48, "is_decoder": True, "attention_type": "original_full"},
    ),
    "Mamba": ("Mamba", SMALL | {"state_size": 4}),
    "Mamba 2": ("Mamba2", SMALL | {"state_size": 4, "num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 1,
                                   "chunk_size": 16}),
    "Falcon Mamba": ("FalconMamba", SMALL | {"state_size": 4}),
    "Jamba": (
        "Jamba",
        GATED
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "mamba_d_state": 4,
            "use_mamba_kernels": False,
        },
    ),
    "RWKV": ("Rwkv", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "context_length": WINDOW}),
    "Recurrent Gemma": (
        "RecurrentGemma",
        GATED | {"lru_width": 32, "attention_window_size": 40, "block_types": ["recurrent", "attention"]},
    ),
    "LFM2": ("Lfm2", GATED | {"layer_types": ["conv", "full_attention"]}),
    "T5 (encoder and decoder)": (
        "T5",
        {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
         "decoder_start_token_id": 0, "n_positions": WINDOW, "initializer_factor": 1.0},
    ),
    "BART (encoder and decoder)": (
        "Bart",
        {"vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48,
         "decoder_ffn_dim": 48, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "init_std": 0.2,
         "max_position_embeddings": 2 * WINDOW, "pad_token_id": 1, "eos_token_id": 1, "bos_token_id": 0,
         "decoder_start_token_id": 1, "forced_eos_token_id": None},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of one architecture.

    Attributes:
        level: How the engine drove it.
        why: Why not all requests were answered by the fast path; None if they were.
        off: Largest difference of a log-likelihood to HFLM, nats.
        flips: Answers with another "is greedy".
        texts: Generated texts that differ.
        slower: Share of the requests that took a slower path.
    """

    level: str
    why: str | None
    off: float
    flips: int
    texts: int
    slower: float

    @property
    def right(self) -> bool:
        """Whether the answers are HFLM's."""
        return self.off <= TOLERANCE and self.flips == 0 and self.texts == 0


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with a token for each byte, and beginning and end of a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, "</s>": 1} | {letter: i + 2 for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")


def build(name: str) -> Any:
    """Return a tiny random model of an architecture."""
    kind, options = CASES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**options)
    automatic = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    model = automatic.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # some make parts of a random model do nothing
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.2)
    return model


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Instance]:
    """Return requests as lm-eval makes them."""
    return [Instance(kind, doc={}, arguments=given, idx=i) for i, given in enumerate(arguments)]


def choices() -> list[tuple[str, str]]:
    """Return contexts with choices: short, with a common header, longer than 40 tokens, longer than the model reads."""
    header = "the common beginning of several documents, long enough to be forwarded once: "
    contexts = ["a b", "one two three", "q" * 60, "the long one " * 20]
    contexts += [header + letter * 12 for letter in "abcd"] + ["short " + letter for letter in "xyz"]
    return [(context, choice) for context in contexts for choice in (" yes", " yes or no", " n")]


def measure(name: str, tokenizer: Any) -> Outcome:
    """Ask the engine and HFLM the same."""
    model = build(name)
    options = {"pretrained": model, "tokenizer": tokenizer, "max_length": WINDOW}
    ours = AuracLM(batch_size="auto", **options)
    theirs = HFLM(batch_size=1, softmax_dtype="float32", logits_cache=False, **options)
    asked = instances("loglikelihood", choices())
    found, wanted = (np.array(lm.loglikelihood(asked, disable_tqdm=True), dtype=float) for lm in (ours, theirs))
    off, flips = [float(np.abs(found[:, 0] - wanted[:, 0]).max())], int((found[:, 1] != wanted[:, 1]).sum())
    if not model.config.is_encoder_decoder:
        long = instances("loglikelihood_rolling", [("a text that is longer than the window " * 8,), ("short",)])
        whole = [np.array(lm.loglikelihood_rolling(long, disable_tqdm=True)) for lm in (ours, theirs)]
        off.append(float((np.abs(whole[0] - whole[1]) / np.maximum(1, np.abs(whole[1]) / 100)).max()))
    asked = instances("generate_until", [(c, {"until": ["zq"], "max_gen_toks": 6}) for c, _ in choices()[::3]])
    texts = ours.generate_until(asked, disable_tqdm=True)
    work = ours.reset_work()
    written = [theirs.generate_until(asked, disable_tqdm=True)]
    if work.fallback_rows:  # texts of some models depend on the prompts and the padding beside them
        theirs.batch_size_per_gpu = work.fallback_rows
        written.append(theirs.generate_until(asked, disable_tqdm=True))
    differing = sum(text not in given for text, *given in zip(texts, *written, strict=True))
    slower = work.fallback_requests / work.requests
    return Outcome(ours.capability.level, work.fallback, max(off), flips, differing, slower)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries print out of the table."""
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def table(outcomes: dict[str, Outcome]) -> str:
    """Return the Markdown table."""
    versions = f"transformers {transformers.__version__}, torch {torch.__version__.partition('+')[0]}"
    lines = [
        BEGIN,
        f"{len(outcomes)} tiny random models, {versions}, float32 on one CPU thread, {len(choices())} choices, 2 whole "
        f"texts and {len(choices()) // 3} generations each.",
        "",
        "| model | level | requests on a slower path | largest difference, nats | texts that differ | why slower |",
        "|---|---|---|---|---|---|",
    ]
    for name, got in outcomes.items():
        slower = f"{100 * got.slower:.0f} %" if got.why else "none"
        lines.append(f"| {name} | `{got.level}` | {slower} | {got.off:.0e} | {got.texts} | {got.why or ''} |")
    return "\n".join([*lines, END])


def main(argv: list[str] | None = None) -> int:
    """Run; 1 if an architecture has other answers than HFLM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--write", action="store_true", help="replace the table in docs/models.md")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    tokenizer = byte_tokenizer()
    outcomes: dict[str, Outcome] = {}
    for name in (name for name in CASES if arguments.only.lower() in name.lower()):
        try:
            with quiet():
                outcomes[name] = measure(name, tokenizer)
        except Exception as error:  # one architecture must not hide the others
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
            outcomes[name] = Outcome("failed", type(error).__name__, float("nan"), 0, 0, 0.0)
        print(json.dumps({"model": name} | outcomes[name].__dict__), file=sys.stderr)
    made = table(outcomes)
    print(made)
    if arguments.write:
        text = DOCS.read_text(encoding="utf-8")
        DOCS.write_text(text[: text.index(BEGIN)] + made + text[text.index(END) + len(END) :], encoding="utf-8")
    return 0 if all(outcome.right for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
