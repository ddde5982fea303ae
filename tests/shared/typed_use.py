"""What a type checker knows of the public names: mypy reads this file (`make lint`), and a test runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd

import aurac
from aurac import AuracScore, Comparison, RankAccuracyCurve, Run

RECORD = Path(__file__).parents[2] / "results/testbed/svd-lora"


def check() -> None:
    """Use the names as users do; `assert_type` does nothing when it runs."""
    curve = RankAccuracyCurve([1, 2, 4], [0.4, 0.5, 0.6])
    assert_type(aurac.compute(curve), AuracScore)
    assert_type(aurac.compute({1: 0.4, 2: 0.5}), AuracScore)
    assert_type(aurac.compute([1, 2], [0.4, 0.5]), AuracScore)
    assert_type(aurac.compute(np.array([1, 2]), np.array([0.4, 0.5])), AuracScore)
    assert_type(aurac.compute(pd.DataFrame({"rank": [1, 2], "accuracy": [0.4, 0.5]})), AuracScore)
    assert_type(aurac.compute(pd.Series([0.4, 0.5], index=[1, 2])), AuracScore)
    assert_type(aurac.compute(RECORD, task="tilt"), AuracScore)
    run = aurac.load(RECORD)
    assert_type(run, Run)
    assert_type(run.to_frame(), pd.DataFrame)
    assert_type({task: aurac.compute(run, task=task) for task in run.tasks}, dict[str, AuracScore])
    assert_type(aurac.compute(curve).value, float)
    assert_type(float(aurac.compute(curve)), float)
    assert_type(aurac.compare([run, RECORD.with_name("lora")]), Comparison)
    assert_type(aurac.smallest_rank(run, margin=0.05).rank, int)
    assert_type(aurac.__version__, str)
