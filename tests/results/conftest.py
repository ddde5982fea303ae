"""A small record."""

from __future__ import annotations

from pathlib import Path

import pytest

from records_by_hand import make_cell, write


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write(tmp_path / "run", [make_cell("t", 1, [0, 1, 0, 0]), make_cell("t", 2, [1, 1, 0, 1])])
