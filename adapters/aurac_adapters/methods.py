"""The table of methods: a new one is a file and a line."""

from __future__ import annotations

from aurac.registry import Registry

METHODS = Registry(
    "adapter method",
    {
        "lora": "aurac_adapters.lora:Lora",
        "dylora": "aurac_adapters.dylora:DyLora",
        "matryoshka": "aurac_adapters.matryoshka:MatryoshkaLora",
        "svd-lora": "aurac_adapters.svd_lora:SvdLora",
    },
)
