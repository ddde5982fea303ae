"""Helpers of the command-line tests: an adapter that PEFT alone made, for the embedded model."""

from __future__ import annotations

from pathlib import Path

import torch

from aurac import testbed

TASKS = ("--include-path", str(testbed.TASKS), "--limit", "8", "--batch-size", "16")


def write_adapter(folder: Path, *, seed: int, rank: int = 4) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(testbed.MODEL, dtype=torch.float32)
    adapted = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.1
    adapted.save_pretrained(folder)
    return folder
