"""What a rank may cost, by name: an axis to integrate over, and the x axis of a Pareto plot."""

from __future__ import annotations

from typing import Any

from aurac.quadrature import AXES
from aurac.registry import Registry


def _must_be_cost(_: str, value: Any) -> str | None:
    from aurac.analysis.rank_costs import Cost

    return None if isinstance(value, Cost) else "a Cost"


COSTS = Registry(
    "cost",
    {
        "params": "aurac.analysis.rank_costs:PARAMS",
        "bytes": "aurac.analysis.rank_costs:BYTES",
        "flops": "aurac.analysis.rank_costs:FLOPS",
        "latency": "aurac.analysis.rank_costs:LATENCY",
        "prefill": "aurac.analysis.rank_costs:PREFILL",
    },
    group="aurac.costs",
    check=_must_be_cost,
)
"""Name -> `aurac.analysis.rank_costs.Cost`."""


def axis_names() -> tuple[str, ...]:
    """Return the names that an axis can have: functions of the rank, and costs."""
    return (*AXES, *COSTS)
