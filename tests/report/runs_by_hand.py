"""Curves made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.results import Profile
from aurac.results.profile import Cost, ProfileRow

RANKS = (1, 2, 4, 8)


def curve(task: str, seed: int, n: int = 40, *, shift: float = 0.0, documents: str = "d", **labels: Any) -> Any:
    rng = np.random.default_rng(seed)
    chance = np.clip(np.linspace(0.3, 0.7, len(RANKS)) + shift, 0, 1)
    scores = (np.random.default_rng(len(task)).random((n, 1)) * 0.8 + 0.2 * rng.random((n, len(RANKS))) < chance) * 1.0
    labels = {"metric": "acc", "num_fewshot": 5, "task_version": "1.0"} | labels
    return RankAccuracyCurve.from_scores(
        RANKS, scores, task=task, documents=[f"{task}/{documents}{i}" for i in range(n)], **labels
    )


def profile_of(
    parameters: int, *, memory: int | None = None, ranks: tuple[int, ...] = RANKS, **settings: Any
) -> Profile:
    """Costs of an adapter of this size: 1 ms a token and 0.01 ms more for each rank, 0.9 ms merged."""
    known = {"prompt_tokens": 512, "new_tokens": 32, "batch_size": 1, "repeats": 5, "dtype": "bfloat16"}
    rows = [
        ProfileRow(
            rank,
            parameters * rank // 8,
            4 * parameters * rank // 8,
            Cost(0.02 + rank / 1e4, 0.001 + rank / 1e5, memory),
            Cost(0.02, 0.0009, memory),
        )
        for rank in ranks
    ]
    return Profile(
        adapter={"sha256": "aa"},
        base={"sha256": "bb"},
        settings={**known, "adapter_dtype": "float32", **settings},
        hardware={"device": "cpu", "name": "a machine", "threads": 2},
        versions={},
        rows=tuple(rows),
    )
