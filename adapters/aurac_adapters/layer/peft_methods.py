"""Which other methods of PEFT become a LoRA, by the names in their configuration."""

from __future__ import annotations

CONVERTED_BY_PEFT = (
    "C3A", "DELORA", "FOURIERFT", "GRALORA", "LOHA", "LOKR", "MISS", "PSOFT", "RANDLORA", "TINYLORA", "UNILORA",
    "VBLORA", "VERA", "WAVEFT",
)  # fmt: skip
"""Types whose layers PEFT's `convert_to_lora` takes; a test asks the PEFT that is installed."""
CONVERTIBLE = (*CONVERTED_BY_PEFT, "ADALORA")
"""Types that `aurac convert` takes: those, and AdaLoRA, whose E is folded into B."""


def way_out(peft_type: object) -> str:
    """Return what to do with an adapter that is no LoRA.

    Example:
        >>> way_out("LOHA")
        'Make a LoRA of its folder first: aurac convert FOLDER --base MODEL --out DIR.'
    """
    if peft_type in CONVERTIBLE:
        return "Make a LoRA of its folder first: aurac convert FOLDER --base MODEL --out DIR."
    listed = ", ".join(sorted(CONVERTIBLE))
    return f"Its update is no matrix of low rank that PEFT gives, so no LoRA is made of it; of these one is: {listed}."
