"""Scaling rules: the factor s_r in front of a prefix of rank r (MatryoshkaLoRA, arXiv 2605.07850)."""

from __future__ import annotations

from collections.abc import Callable

SCALINGS: dict[str, Callable[[int], float]] = {
    "one": lambda rank: 1.0,  # noqa: ARG005
    "rank": lambda rank: 1.0 / rank,
    "sqrt": lambda rank: float(rank) ** -0.5,
}
"""Rule name -> s_r for gain 1. In PEFT's words: `lora_alpha` proportional to r, constant, and rank-stabilised."""
