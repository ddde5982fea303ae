"""Runs of methods with several training seeds, and with several draws of examples, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.quadrature import weights
from aurac.results import Run
from runs_by_hand import RANKS, curve

SEEDS = (42, 666, 2408)
TASKS = ("arc", "hella")
W = weights(RANKS)


def trained(method: str, seed: int, *, shift: float = 0.0, **adapter: Any) -> Run:
    """A run whose level moves with its seed."""
    level = shift + np.random.default_rng(seed + len(method)).normal(0, 0.05)
    curves = {task: curve(task, seed + len(method), shift=level) for task in TASKS}
    identity = {"method": method, "seed": seed, "sha256": f"{method}{seed}", "sidecar": True, "scaling": "one"}
    record = {"identity": {"adapter": identity | adapter}}
    return Run(f"{method}-{seed}", None, record, curves)


def drawn(run: Run, labels: tuple[str, ...] = ("1", "2", "3")) -> Run:
    """The run with scores under several draws of examples, which change some answers."""
    rng, curves = np.random.default_rng(7), {}
    for task, one in run.curves.items():
        assert one.scores is not None
        y = np.repeat(one.scores[:, None], len(labels), axis=1)
        y = np.where(rng.random(y.shape) < 0.1, 1 - y, y)
        about = {"documents": one.documents, "task": task, "metric": "acc", "num_fewshot": 5, "task_version": "1.0"}
        prompts = SeedScores(y, labels)
        curves[task] = RankAccuracyCurve.from_scores(RANKS, y.mean(axis=1), prompts=prompts, name=run.name, **about)
    return replace(run, curves=curves)


def scores(runs: list[Run], task: str) -> Any:
    """Shape (documents, seeds, ranks)."""
    return np.stack([run.curve(task).scores for run in runs], axis=1)


def two_methods() -> list[Run]:
    """Three trainings of each of two methods."""
    return [trained(m, seed, shift=s) for m, s in (("lora", 0.0), ("dylora", 0.15)) for seed in SEEDS]
