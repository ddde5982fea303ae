"""Whole outputs compared with files. `make goldens` writes them all again: read the difference, then commit it."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]


def assert_golden(name: str, text: str, *, room: str = "report") -> None:
    """Assert that an output is the one in `tests/<room>/golden/<name>`, or write it there with AURAC_GOLDEN=write."""
    path = TESTS / room / "golden" / name
    if os.environ.get("AURAC_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
