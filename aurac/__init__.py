"""Rank-accuracy curves for LoRA adapters: score every sub-rank, integrate, compare.

`import aurac` is light: torch, transformers, peft, lm-eval, pandas and matplotlib are imported by the functions that
need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__: str

_PUBLIC = {
    "AuracError": "aurac.errors",
    "AuracScore": "aurac.analysis.score",
    "Comparison": "aurac.report.comparison",
    "RankAccuracyCurve": "aurac.curve.curve",
    "Run": "aurac.results",
    "compare": "aurac.report.comparison",
    "compute": "aurac.analysis.compute",
    "load": "aurac.results",
    "plot_critical_difference": "aurac.report.plots.places",
    "plot_curves": "aurac.report.plots.curves",
    "plot_difference": "aurac.report.plots.difference",
    "plot_intervals": "aurac.report.plots.intervals",
    "plot_pareto": "aurac.report.plots.pareto",
    "recommend": "aurac.report.recommendation",
    "score": "aurac.workflows.sweep",
    "smallest_rank": "aurac.analysis.adequacy",
    "weights": "aurac.quadrature",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":  # importlib.metadata takes longer to import than everything else here
        from importlib.metadata import version

        return version("aurac")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aurac' has no attribute {name!r}. Public names: {', '.join(__all__)}.")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
