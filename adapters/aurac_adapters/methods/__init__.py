"""The table of methods: a new one is a file and a line."""

from __future__ import annotations

from aurac.registry import Registry

METHODS = Registry(
    "adapter method",
    {
        "lora": "aurac_adapters.methods.lora:Lora",
        "dylora": "aurac_adapters.methods.dylora:DyLora",
        "matryoshka": "aurac_adapters.methods.matryoshka:MatryoshkaLora",
        "svd-lora": "aurac_adapters.methods.svd_lora:SvdLora",
    },
)
