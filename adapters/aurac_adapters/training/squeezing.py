"""Squeezing during training: train at a high rank, then truncate and train on, rank by rank.

Gradual truncation is the In-Squeeze of LoRA-Squeeze (Vulic et al. 2026, arXiv 2602.10993). Every stage is a training
of its own, with a fresh optimizer, warm-up and decay, and its adapter is kept: the folder is a curve for one path of
steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from aurac.errors import OptionError, TrainingError
from aurac_adapters.training.beforehand import check_beforehand
from aurac_adapters.training.config import TrainingConfig

_STAGE = re.compile(r"([1-9]\d*)@([1-9]\d*)")


@dataclass(frozen=True)
class Truncation:
    """Go on at `rank` after `step` optimizer steps, counted from the beginning of the training."""

    rank: int
    step: int


def read_schedule(text: str) -> tuple[Truncation, ...]:
    """Return the truncations that a text such as "8@60,4@80" names: rank 8 from step 60 on, rank 4 from step 80 on.

    Raises:
        OptionError: If it is no such text.
    """
    found = [_STAGE.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise OptionError(f"{text!r} is no list of RANK@STEP, such as 8@60,4@80")
    return tuple(Truncation(int(match[1]), int(match[2])) for match in found if match)


def stages(config: TrainingConfig, schedule: Sequence[Truncation]) -> list[TrainingConfig]:
    """Return the trainings that a schedule makes of one: `out/rank-R`, and from it `out/rank-r` for each truncation.

    Args:
        config: The whole training, with the number of all steps and the rank that it begins with.
        schedule: Ranks that fall and steps that rise.

    Raises:
        TrainingError: If the number of steps is not given, the method is not plain LoRA, or ranks do not fall or steps
            do not rise within the training.
    """
    if config.method.name != "lora":
        raise TrainingError(f"squeezing trains plain LoRA, and method {config.method.name} was given. Give lora.")
    if config.max_steps is None:
        raise TrainingError("squeezing counts steps, and their number was not given. Give max_steps.")
    ranks = [config.method.max_rank, *(each.rank for each in schedule)]
    steps = [0, *(each.step for each in schedule), config.max_steps]
    if any(after >= before for before, after in pairwise(ranks)):
        raise TrainingError(f"squeezing goes through the ranks {_listed(ranks)}; each must be below the one before.")
    if any(after <= before for before, after in pairwise(steps)):
        raise TrainingError(
            f"squeezing has stages that end at the steps {_listed(steps[1:])}; each must be above the one before, and "
            "the last one is that of the whole training."
        )
    found: list[TrainingConfig] = []
    for rank, (begin, end) in zip(ranks, pairwise(steps), strict=True):
        start = found[-1].out if found else config.start
        method = replace(config.method, max_rank=rank, train_ranks=())
        stage = replace(config, method=method, max_steps=end - begin, start=start, out=config.out / f"rank-{rank}")
        found.append(stage)
    return found


def train_squeezed(config: TrainingConfig, schedule: Sequence[Truncation]) -> Path:
    """Train stage by stage; the same call goes on where it was interrupted.

    Returns:
        `config.out`, with an adapter folder for each rank (`rank-16`, `rank-8`, ...), which is scored as one curve.
    """
    planned = stages(config, schedule)
    check_beforehand(planned[0])
    from aurac_adapters.training.trainer import train

    for stage in planned:
        train(stage)
    return config.out


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
