"""Fixtures that every room uses."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop(
    "COLUMNS", None
)  # pytest-xdist tells its workers the width of the terminal; output would be folded to it
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_finish() -> None:
    """Keep libraries and tests, which stay for good, out of garbage collections: every training asks for one."""
    # Hypothesis warns of random generators, its own too, whose owners it cannot see, because they are frozen. It looks
    # for them at its first example.
    hypothesis.given(hypothesis.strategies.none())(lambda _: None)()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real benchmark data and a real small model; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("AURAC_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "make_offline_hub.py").exists():
        pytest.skip("the shared folder with real data is absent (set AURAC_SHARED)")
    return folder
