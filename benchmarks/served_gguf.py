"""A Llama and the slices of an adapter as the GGUF files that llama.cpp reads; nothing is rounded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Weight = NDArray[Any]
_PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write_base(folder: Path, out: Path) -> Path:
    """Write a Llama of transformers in float32, with the texts of its tokens: prompts are sent as token numbers."""
    config = json.loads((folder / "config.json").read_text())
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_vocabulary(writer, json.loads((folder / "tokenizer.json").read_text()))
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    for name, weight in load_file(folder / "model.safetensors").items():
        plain = weight.astype(np.float32)
        if name in _WHOLE:
            writer.add_tensor(_WHOLE[name], plain)
            continue
        layer, part = _layer(name.removesuffix(".weight"))
        writer.add_tensor(f"blk.{layer}.{_PARTS[part]}.weight", _in_rotary_order(plain, part, heads, kv))
    _close(writer)
    return out


def write_lora(folder: Path, base: Path, out: Path) -> Path:
    """Write a PEFT folder of plain factors."""
    config = json.loads((base / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", json.loads((folder / "adapter_config.json").read_text())["lora_alpha"])
    for name, weight in load_file(folder / "adapter_model.safetensors").items():
        place, _, factor = name.removesuffix(".weight").rpartition(".lora_")
        layer, part = _layer(place)
        if factor == "B":
            weight = _in_rotary_order(weight, part, config["num_attention_heads"], config["num_key_value_heads"])
        writer.add_tensor(f"blk.{layer}.{_PARTS[part]}.weight.lora_{factor.lower()}", weight.astype(np.float32))
    _close(writer)
    return out


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> None:
    model = tokenizer["model"]
    is_bpe = model["type"] == "BPE"
    special = {added["id"]: added["content"] for added in tokenizer["added_tokens"] if added["special"]}
    texts = {number: text if is_bpe else f"▁{text}" for text, number in model["vocab"].items()} | special
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("gpt2" if is_bpe else "llama")
    writer.add_token_list([text.encode() for _, text in sorted(texts.items())])
    kinds = (gguf.TokenType.NORMAL, gguf.TokenType.CONTROL)
    writer.add_token_types([kinds[number in special] for number in sorted(texts)])
    if is_bpe:
        writer.add_tokenizer_pre("smollm")
        writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
    else:
        writer.add_token_scores([0.0] * len(texts))


def _layer(name: str) -> tuple[int, str]:
    match = re.search(r"model\.layers\.(\d+)\.(.+)$", name)
    assert match is not None, name
    return int(match[1]), match[2]


def _in_rotary_order(weight: Weight, part: str, heads: int, kv: int) -> Weight:
    """Put a head's rows as llama.cpp turns them: pairs side by side, where transformers has them in halves."""
    count = {"self_attn.q_proj": heads, "self_attn.k_proj": kv}.get(part)
    if count is None:
        return weight
    halves = weight.reshape(count, 2, weight.shape[0] // count // 2, *weight.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def _close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
