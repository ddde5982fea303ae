"""`lora_adapters_step=*.pt` of the MatryoshkaLoRA authors' code (LoRA, DyLoRA and MatryoshkaLoRA alike)."""

from __future__ import annotations

from aurac_adapters.export.checkpoints.layout import Layout


class MatryoshkaPt(Layout):
    """`<layer>.lora_A` is (in, r), `<layer>.lora_B` is (r, out); s_r is 1, 1/r or 1/sqrt(r), with no factor before it.

    The layer names are those of the base model in transformers.
    """

    name = "matryoshka-pt"
    maker = "the MatryoshkaLoRA authors' lora_adapters_step=*.pt"
    ends = (".lora_A", ".lora_B")
    transposed = True
    gain = 1.0
