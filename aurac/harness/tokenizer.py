"""Which tokenizer a scoring uses, and the embedding that it needs: an adapter's folder may bring its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedTokenizerBase

from aurac.harness.model import load_tokenizer

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
_WEIGHTS = "adapter_model.safetensors"
_PROBE = "A text, with 3 lines\n  and é 漢字 <|im_start|>user\n"


@dataclass(frozen=True)
class ChosenTokenizer:
    """The tokenizer of a scoring.

    Attributes:
        tokenizer: The tokenizer.
        where: Its folder or name on the hub, where it is not the base model's; None where it is.
        note: One sentence for the user, where it was chosen without being asked for.
        sha256: Of all that it does, where it is not the base model's.
    """

    tokenizer: PreTrainedTokenizerBase
    where: str | None = None
    note: str | None = None
    sha256: str | None = None


def choose_tokenizer(
    base: str, adapter: Path, given: str | None, *, trust_remote_code: bool = False
) -> ChosenTokenizer:
    """Return the tokenizer that was asked for, else the adapter folder's where it differs, else the base model's.

    Trainers (TRL, Axolotl, Unsloth, LLaMA-Factory) save tokenizer and chat template beside the adapter; those are what
    it was trained with.

    Args:
        base: The base model: folder or name on the hub.
        adapter: Folder of the adapter.
        given: Folder or name that was asked for.
        trust_remote_code: Whether code that comes with it may run.

    Raises:
        ModelError: If there is no such tokenizer.
    """
    if given is not None:
        tokenizer = load_tokenizer(given, trust_remote_code=trust_remote_code)
        return ChosenTokenizer(tokenizer, given, None, _sha256(tokenizer))
    own = load_tokenizer(base, trust_remote_code=trust_remote_code)
    if not any((adapter / name).is_file() for name in _FILES):
        return ChosenTokenizer(own)
    brought = load_tokenizer(str(adapter), trust_remote_code=trust_remote_code)
    if not (differs := _differences(own, brought)):
        return ChosenTokenizer(own)
    note = (
        f"tokenizer: the adapter folder's, which differs from the base model's in {', '.join(differs)}; "
        f"--tokenizer {base} takes the base model's"
    )
    return ChosenTokenizer(brought, str(adapter), note, _sha256(brought))


def fit_embedding(model: Any, tokenizer: PreTrainedTokenizerBase, adapter: Path) -> str | None:
    """Resize the embedding where tokens were added, as PEFT needs it and lm-eval does; return what was done.

    It gets the rows that the adapter saved with its weights; without saved rows, one for each token.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    saved = _saved_rows(adapter)
    wanted = saved if saved is not None else max(rows, len(tokenizer))
    if wanted == rows:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # rows that the adapter does not bring are the same in every scoring
        model.resize_token_embeddings(wanted, mean_resizing=False)
    from_where = "as many as the adapter saved" if saved is not None else "one for each token of the tokenizer"
    return f"embedding: resized from {rows} to {wanted} rows, {from_where}"


def _saved_rows(adapter: Path) -> int | None:
    """Return the rows of the embedding or head that the adapter's weights hold as a whole."""
    try:
        with safe_open(str(adapter / _WEIGHTS), framework="numpy") as file:
            ends = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "lm_head.weight", "embed_out.weight",
                    "embed_tokens.base_layer.weight", "lm_head.base_layer.weight")  # fmt: skip
            keys = [key for key in file.keys() if key.endswith(ends) and "lora_" not in key]  # noqa: SIM118
            return max((int(file.get_slice(key).get_shape()[0]) for key in keys), default=None)
    except (OSError, SafetensorError):  # said when the adapter is read
        return None


def _differences(own: Any, brought: Any) -> list[str]:
    """Say in what two tokenizers differ, as far as prompts are concerned."""
    found = []
    if own.get_vocab() != brought.get_vocab() or own(_PROBE)["input_ids"] != brought(_PROBE)["input_ids"]:
        found.append("its tokens")
    if (own.bos_token_id, own.eos_token_id) != (brought.bos_token_id, brought.eos_token_id):
        found.append("the tokens that begin and end a text")
    if own.chat_template != brought.chat_template:
        found.append("its chat template")
    return found


def _sha256(tokenizer: Any) -> str:
    about = [sorted(tokenizer.get_vocab().items()), tokenizer.chat_template, tokenizer(_PROBE)["input_ids"],
             tokenizer.bos_token_id, tokenizer.eos_token_id]  # fmt: skip
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode(errors="surrogatepass")).hexdigest()
