"""Runs made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aurac.results import Run
from runs_by_hand import curve


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


@pytest.fixture
def runs(make_run: Callable[..., Run]) -> list[Run]:
    """Three methods on two tasks, the worst first."""
    return [
        make_run("lora", curve("arc", 1), curve("hella", 2)),
        make_run("dylora", curve("arc", 3, shift=0.1), curve("hella", 4, shift=0.1), method="dylora"),
        make_run("matryoshka", curve("arc", 5, shift=0.3), curve("hella", 6, shift=0.2), method="matryoshka"),
    ]
