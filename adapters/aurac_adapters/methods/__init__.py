"""The table of methods: a new one is a file and a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aurac.registry import Registry

if TYPE_CHECKING:
    from aurac_adapters.methods.method import NestedMethod


def _needs(name: str, value: Any) -> str | None:
    """Return what another package's entry must be, if it is no method of this name."""
    from aurac_adapters.methods.method import NestedMethod

    fits = isinstance(value, type) and issubclass(value, NestedMethod) and getattr(value, "name", None) == name
    return None if fits else f"a subclass of NestedMethod whose name is {name!r}"


METHODS = Registry(
    "adapter method",
    {
        "lora": "aurac_adapters.methods.lora:Lora",
        "dylora": "aurac_adapters.methods.dylora:DyLora",
        "matryoshka": "aurac_adapters.methods.matryoshka:MatryoshkaLora",
        "learned-matryoshka": "aurac_adapters.methods.learned:LearnedMatryoshka",
        "svd-lora": "aurac_adapters.methods.svd_lora:SvdLora",
    },
    group="aurac.methods",
    check=_needs,
)
"""Name -> subclass of `NestedMethod`."""


def trainable_methods() -> dict[str, type[NestedMethod]]:
    """Return name -> method for all that can be trained and imported."""
    return {name: method for name, method in METHODS.usable().items() if method.trainable}
