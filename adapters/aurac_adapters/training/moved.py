"""How much of A moved in a training: in bfloat16, steps below half the distance to the next number are lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch

logger = logging.getLogger(__name__)

FEW = 0.5
"""Below this share of moved numbers, a training says so."""


def first_factors(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of all A, (r, in) each, on the CPU; weights by their names in a state dict of a PEFT model."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items() if ".lora_A." in name}


def share_moved(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float | None:
    """Return the share in [0, 1] of the numbers in all A that are not what they were; None where no layer has an A.

    B starts at zero, so that it moves by any step.

    Args:
        before: What `first_factors` returned when the training began.
        after: The weights at its end, under the same names.
    """
    moved = sum(int((after[name].detach().cpu() != weight).sum()) for name, weight in before.items())
    count = sum(weight.numel() for weight in before.values())
    return moved / count if count else None


def say_if_few(share: float | None) -> None:
    """Warn of a training in which most of A stayed where it was drawn."""
    if share is not None and share < FEW:
        logger.warning(
            "only %.0f %% of the numbers in A moved: steps were too small for the type of the adapter. A higher "
            "learning rate, more steps or an adapter in float32 (the default of --adapter-dtype) move more.",
            100 * share,
        )
