"""What a rank may cost, by name: an axis to integrate over, and the x axis of a Pareto plot."""

from __future__ import annotations

from aurac.quadrature import AXES
from aurac.registry import Registry

COSTS = Registry(
    "cost",
    {
        "params": "aurac.analysis.rank_costs:PARAMS",
        "bytes": "aurac.analysis.rank_costs:BYTES",
        "flops": "aurac.analysis.rank_costs:FLOPS",
        "latency": "aurac.analysis.rank_costs:LATENCY",
        "prefill": "aurac.analysis.rank_costs:PREFILL",
    },
)
"""Name -> `aurac.analysis.rank_costs.Cost`."""


def axis_names() -> tuple[str, ...]:
    """Return the names that an axis can have: functions of the rank, and costs."""
    return (*AXES, *COSTS)
