"""State dicts of loralib, and of its DyLoRA version (Valipour et al. 2022)."""

from __future__ import annotations

from aurac_adapters.export.checkpoints.layout import Layout


class Loralib(Layout):
    """`<layer>.lora_A` is (r, in), `<layer>.lora_B` is (out, r), as `lora_state_dict` returns them.

    loralib multiplies by lora_alpha / R, and DyLoRA each of both factors by sqrt(R / b) besides: lora_alpha / b at rank
    b. So the rule is "rank" for DyLoRA and the gain lora_alpha; neither is stored.
    """

    name = "loralib"
    maker = "loralib and DyLoRA"
    ends = (".lora_A", ".lora_B")
