"""Reference values of an independent implementation (shared/oracles/statistics.json, copied)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from aurac.curve.curve import RankAccuracyCurve

settings.register_profile("quick", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("quick")

RANKS = (1, 2, 4, 8)


@pytest.fixture(scope="session")
def oracles() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "oracles.json").read_text())


def rows(text: str) -> np.ndarray:
    return np.array([[float(bit) for bit in row] for row in text.split()])


@pytest.fixture
def e1() -> RankAccuracyCurve:
    """STATISTICS.md E1: eight documents at ranks 1, 2, 4, 8."""
    return RankAccuracyCurve.from_scores(RANKS, rows("1111 0111 0011 0001 0000 1011 0101 0000"))
