"""Safetensors of diffusers and of other programs that name their factors as PEFT does, without a configuration."""

from __future__ import annotations

from collections.abc import Collection

from aurac_adapters.export.checkpoints.layout import Layout
from aurac_adapters.layer.keys import PREFIX


class Diffusers(Layout):
    """`<component>.<layer>.lora_A.weight` is (r, in), `.lora_B.weight` is (out, r), `.alpha` a number if stored."""

    name = "diffusers"
    maker = "diffusers (linear layers)"
    ends = (".lora_A.weight", ".lora_B.weight")
    alpha_end = ".alpha"

    def module(self, stem: str, modules: Collection[str]) -> str:
        """Return the name without PEFT's prefix, and without the pipeline's component where that is no module."""
        name = stem.removeprefix(PREFIX)
        without_component = name.partition(".")[2]
        return without_component if name not in modules and without_component in modules else name
