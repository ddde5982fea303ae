"""Runs made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurac.results import Run


@pytest.fixture
def make_run() -> Callable[..., Run]:
    def make(name: str, *curves: Any, method: str = "lora", sidecar: bool = True) -> Run:
        adapter = {"method": method, "sidecar": sidecar, "gain": 2.0}
        return Run(name, None, {"identity": {"adapter": adapter}}, {c.task: c for c in curves})

    return make
