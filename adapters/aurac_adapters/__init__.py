"""Nested LoRA adapters on PEFT: LoRA, DyLoRA, MatryoshkaLoRA and SVD-LoRA, trained, stored, and used at any rank."""
