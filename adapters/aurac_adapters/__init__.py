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
    "AdapterFacts": "aurac_adapters.folder.facts",
    "AdapterFolder": "aurac_adapters.folder.folder",
    "DyLora": "aurac_adapters.methods.dylora",
    "LearnedMatryoshka": "aurac_adapters.methods.learned",
    "Lora": "aurac_adapters.methods.lora",
    "MatryoshkaLora": "aurac_adapters.methods.matryoshka",
    "NestedAdapter": "aurac_adapters.layer.nested",
    "NestedMethod": "aurac_adapters.methods.method",
    "RetrainedAdapter": "aurac_adapters.folder.retrained",
    "SvdLora": "aurac_adapters.methods.svd_lora",
    "at_rank": "aurac_adapters.layer.nested",
    "attach": "aurac_adapters.layer.nested",
    "convert_checkpoint": "aurac_adapters.export.convert",
    "convert_method": "aurac_adapters.export.peft_methods",
    "export_budget": "aurac_adapters.export.budget_slices",
    "export_merged": "aurac_adapters.export.merged",
    "export_slice": "aurac_adapters.export.slices",
    "load_adapter": "aurac_adapters.folder.loading",
    "load_ranked": "aurac_adapters.folder.retrained",
    "read_adapter": "aurac_adapters.folder.folder",
    "read_facts": "aurac_adapters.folder.facts",
    "read_ranked": "aurac_adapters.folder.retrained",
    "save_adapter": "aurac_adapters.folder.folder",
    "svd_rotate": "aurac_adapters.export.rotation",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aurac_adapters' has no attribute {name!r}. Public names: {', '.join(__all__)}.")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
