"""A tiny random Llama, and adapters on it whose weights look trained."""

from __future__ import annotations

from typing import Any

import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from aurac_adapters import NestedAdapter, NestedMethod, attach

TOKENS = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12], [13, 14, 15, 16, 17, 18]])


def tiny_llama(dtype: torch.dtype = torch.float32, *, hidden: int = 32, layers: int = 2) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=32,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


def randomise(model: Any, *, seed: int = 1) -> None:
    """Give every LoRA factor weights like those of a trained adapter; PEFT starts with B = 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = (torch.randn(weight.shape, generator=generator) * 0.2).to(weight.dtype)


def nested(method: NestedMethod, *, dtype: torch.dtype = torch.float32, **options: Any) -> NestedAdapter:
    model = get_peft_model(tiny_llama(dtype), method.lora_config(), autocast_adapter_dtype=False)
    randomise(model)
    return attach(model.eval(), method, **options)


def checkpoint_activations(model: Any) -> None:
    """Compute activations twice; transformers renamed the method in 5.23."""
    base = model.base_model.model
    enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
    enable()
    model.enable_input_require_grads()


def logits(model: Any, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens).logits
