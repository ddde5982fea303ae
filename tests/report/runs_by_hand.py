"""Curves made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from aurac.curve import RankAccuracyCurve

RANKS = (1, 2, 4, 8)


def curve(task: str, seed: int, n: int = 40, *, shift: float = 0.0, documents: str = "d", **labels: Any) -> Any:
    rng = np.random.default_rng(seed)
    chance = np.clip(np.linspace(0.3, 0.7, len(RANKS)) + shift, 0, 1)
    scores = (np.random.default_rng(len(task)).random((n, 1)) * 0.8 + 0.2 * rng.random((n, len(RANKS))) < chance) * 1.0
    labels = {"metric": "acc", "num_fewshot": 5, "task_version": "1.0"} | labels
    return RankAccuracyCurve.from_scores(
        RANKS, scores, task=task, documents=[f"{task}/{documents}{i}" for i in range(n)], **labels
    )
