"""The table of layouts, and which of them a checkpoint has; a new one is a file and a line."""

from __future__ import annotations

from aurac.errors import AdapterError
from aurac.registry import Registry
from aurac_adapters.export.checkpoints.layout import Layout, Tensors

LAYOUTS = Registry(
    "checkpoint layout",
    {
        "matryoshka-pt": "aurac_adapters.export.checkpoints.matryoshka_pt:MatryoshkaPt",
        "loralib": "aurac_adapters.export.checkpoints.loralib:Loralib",
        "kohya": "aurac_adapters.export.checkpoints.kohya:Kohya",
        "diffusers": "aurac_adapters.export.checkpoints.diffusers:Diffusers",
    },
    group="aurac.layouts",
)


def layout_of(tensors: Tensors) -> Layout:
    """Return the only layout that a checkpoint can have.

    Raises:
        AdapterError: If it has none that is known, or several are possible.
    """
    claimed: list[Layout] = [layout for each in LAYOUTS.usable().values() if (layout := each()).claims(tensors)]
    if not claimed:
        first = ", ".join(list(tensors)[:3]) or "none"
        raise AdapterError(
            f"the checkpoint has no known layout; its first keys: {first}. Known layouts: {', '.join(LAYOUTS)}."
        )
    if len(claimed) == 1:
        return claimed[0]
    reasons: list[str] = []
    possible = [layout for layout in claimed if _fits(layout, tensors, reasons)]
    if not possible:
        raise AdapterError(" ".join(dict.fromkeys(reasons)))
    if len(possible) > 1:
        raise AdapterError(
            f"the checkpoint can be read as {' and as '.join(layout.name for layout in possible)}, which differ. Say "
            "which it is with --layout."
        )
    return possible[0]


def _fits(layout: Layout, tensors: Tensors, reasons: list[str]) -> bool:
    try:
        layout.factors(tensors)
    except AdapterError as exc:
        reasons.append(str(exc))
        return False
    return True
