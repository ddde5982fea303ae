"""Protocols: sets of training options that belong together, as a paper's code has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aurac.registry import Registry

PROTOCOLS = Registry(
    "training protocol",
    {
        "standard": "aurac_adapters.training.protocols:STANDARD",
        "authors": "aurac_adapters.training.protocols:AUTHORS",
    },
)


@dataclass(frozen=True, kw_only=True)
class ProtocolChoice:
    """Which protocol a training follows; an option beside those of the training itself.

    Attributes:
        protocol: Defaults of the other options; authors: as the MatryoshkaLoRA authors' code trains, see
            docs/training.md.
    """

    protocol: str = field(default="standard", metadata={"choices": lambda: tuple(PROTOCOLS)})


@dataclass(frozen=True)
class Protocol:
    """Options that a protocol sets; what is given beside it wins.

    Attributes:
        training: Fields of `TrainingConfig`.
        methods: Name of a method -> its own switches.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of `TrainingConfig`: the protocol's, and over them those that were given."""
        return {**self.training, **given}

    def switches(self, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a method's own fields; the protocol's only where none of them was given."""
        return dict(given or self.methods.get(method, {}))


STANDARD = Protocol()
AUTHORS = Protocol(
    training={
        "init": "authors",
        "adapter_dtype": "base",
        "dtype": "bfloat16",
        "prompt_style": "authors",
        "max_length": 512,
        "warmup_ratio": 0.0,
        "batch_size": 4,
        "gradient_accumulation": 8,
    },
    methods={"dylora": {"per_pass": True}},
)
"""The MatryoshkaLoRA authors' public code at 66dd464; docs/training.md says what is the same and what is not."""
