"""Reference values of an independent implementation, and the small data sets of STATISTICS.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from aurac.curve.curve import RankAccuracyCurve
from statistics_cases import curve

settings.register_profile("quick", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def oracles() -> dict[str, Any]:
    return json.loads((Path(__file__).parents[1] / "metric" / "oracles.json").read_text())


@pytest.fixture
def e1() -> RankAccuracyCurve:
    return curve("1111 0111 0011 0001 0000 1011 0101 0000")


@pytest.fixture
def e2() -> tuple[RankAccuracyCurve, RankAccuracyCurve]:
    """Methods A and B on the same twelve documents."""
    a = curve("0111 1111 0011 0001 0000 1111 0111 0010 0111 0011 1111 0001", name="A")
    b = curve("0011 1111 0001 0001 0000 0111 0011 0001 0011 0001 1111 0000", name="B")
    return a, b
