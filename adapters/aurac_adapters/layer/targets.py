"""Whether PEFT builds an adapter on a layer at all, as `target_modules` says it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aurac.errors import AdapterError
from aurac_adapters.layer.keys import Layer


def check_targets(config: Mapping[str, Any], layers: Sequence[Layer], where: object) -> None:
    """Raise `AdapterError` for a layer that `target_modules` does not name: PEFT would leave its factors out.

    Args:
        config: PEFT's configuration, its kinds checked.
        layers: The layers of the weights.
        where: The file, for the message.
    """
    # Names of parameters have other keys; which layer is tied to a target, only the base model tells.
    if config.get("target_parameters") or config.get("ensure_weight_tying"):
        return
    if left_out := [layer for layer in layers if not _is_target(config, layer.inner)]:
        raise AdapterError(
            f"{where} holds {2 * len(left_out)} tensors that its configuration does not ask for, the first "
            f"{left_out[0].a}. They would have no effect; check target_modules and the names of the layers."
        )


def _is_target(config: Mapping[str, Any], name: str) -> bool:
    """Tell whether PEFT takes this layer; an option that is missing or "all-linear" excludes nothing."""
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if excluded and _matches(excluded, name):
        return False
    return not targets or targets == "all-linear" or _matches(targets, name)


def _matches(wanted: str | Sequence[str], name: str) -> bool:
    if isinstance(wanted, str):
        return re.fullmatch(wanted, name) is not None
    return any(name == item or name.endswith(f".{item}") for item in wanted)
