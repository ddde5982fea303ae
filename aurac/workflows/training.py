"""From what was given, on the command line or in a recipe, to a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aurac.fields import Option, options_of

if TYPE_CHECKING:
    from aurac_adapters.training.config import TrainingConfig

OF_EVERY_METHOD = ("train_ranks", "scaling", "gain")
"""Fields that all methods have; a protocol does not set them."""


def training_options() -> dict[str, Option]:
    """Return the options of a training: its protocol and the fields of its configuration."""
    from aurac_adapters.training.config import TrainingConfig
    from aurac_adapters.training.protocols import ProtocolChoice

    return {**options_of(ProtocolChoice), **options_of(TrainingConfig)}


def training_config(
    method: str, rank: int, *, training: Mapping[str, Any], fields: Mapping[str, Any]
) -> TrainingConfig:
    """Return the training; what was not given is what the protocol says, else what the dataclasses say.

    Args:
        method: Name of the method.
        rank: Maximal rank.
        training: Key of `training_options` -> value; a seed is the method's too.
        fields: Field of the method -> value.
    """
    from aurac_adapters import METHODS
    from aurac_adapters.training.config import TrainingConfig
    from aurac_adapters.training.protocols import PROTOCOLS

    options = dict(training)
    protocol = PROTOCOLS[options.pop("protocol", "standard")]
    shared = {name: fields[name] for name in OF_EVERY_METHOD if name in fields}
    own = {name: value for name, value in fields.items() if name not in shared}
    seed = {"seed": options["seed"]} if "seed" in options else {}
    made = METHODS[method](max_rank=rank, **seed, **shared, **protocol.switches(method, own))
    return TrainingConfig(method=made, **protocol.options(options))
