"""Runs made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aurac.results import Run


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    """Draw without a screen, and leave no figure open."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    def make(name: str, *curves: Any, method: str = "lora", sidecar: bool = True) -> Run:
        adapter = {"method": method, "sidecar": sidecar, "gain": 2.0}
        return Run(name, None, {"identity": {"adapter": adapter}}, {c.task: c for c in curves})

    return make
