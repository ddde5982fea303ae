"""Nested LoRA adapters on PEFT: LoRA, DyLoRA, MatryoshkaLoRA and SVD-LoRA, trained, stored, and used at any rank.

Example:
    >>> from aurac_adapters import MatryoshkaLora
    >>> MatryoshkaLora(max_rank=8, scaling="rank").train_ranks
    (1, 2, 4, 8)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "METHODS": "aurac_adapters.methods",
    "AdapterFacts": "aurac_adapters.facts",
    "AdapterFolder": "aurac_adapters.folder",
    "DyLora": "aurac_adapters.dylora",
    "Lora": "aurac_adapters.lora",
    "MatryoshkaLora": "aurac_adapters.matryoshka",
    "NestedAdapter": "aurac_adapters.nested",
    "NestedMethod": "aurac_adapters.method",
    "RetrainedAdapter": "aurac_adapters.retrained",
    "SvdLora": "aurac_adapters.svd_lora",
    "at_rank": "aurac_adapters.nested",
    "attach": "aurac_adapters.nested",
    "convert_checkpoint": "aurac_adapters.convert",
    "export_merged": "aurac_adapters.merged",
    "export_slice": "aurac_adapters.slices",
    "load_adapter": "aurac_adapters.loading",
    "load_ranked": "aurac_adapters.retrained",
    "read_adapter": "aurac_adapters.folder",
    "read_facts": "aurac_adapters.facts",
    "read_ranked": "aurac_adapters.retrained",
    "save_adapter": "aurac_adapters.folder",
    "svd_rotate": "aurac_adapters.svd",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aurac_adapters' has no attribute {name!r}. Public names: {', '.join(__all__)}.")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
