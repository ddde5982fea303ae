"""Safetensors of kohya's sd-scripts: layer names with underscores for dots, and alpha beside the factors."""

from __future__ import annotations

import re
from collections.abc import Collection

from aurac.errors import AdapterError
from aurac_adapters.export.checkpoints.layout import Layout

_PREFIX = re.compile(r"lora_(unet|te\d*|transformer)_")


class Kohya(Layout):
    """`lora_te_<layer>.lora_down.weight` is (r, in), `.lora_up.weight` is (out, r), `.alpha` a number.

    Layer names are resolved against those of the base model, because an underscore may stand for a dot or for itself.
    """

    name = "kohya"
    maker = "kohya's sd-scripts (linear layers)"
    ends = (".lora_down.weight", ".lora_up.weight")
    alpha_end = ".alpha"

    def module(self, stem: str, modules: Collection[str]) -> str:
        """Return the one module whose name is `stem` when its dots are underscores."""
        plain = _PREFIX.sub("", stem, count=1)
        found = [name for name in modules if name.replace(".", "_") == plain]
        if len(found) != 1:
            raise AdapterError(
                f"the layer {stem} is {'no layer' if not found else ' or '.join(found)} of the base model. Give the "
                "model that the checkpoint was trained on with --base."
            )
        return found[0]
