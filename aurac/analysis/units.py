"""Curves over ranks and curves over budgets on one axis: a rank is a number of parameters too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aurac.analysis.cost_axes import costs_of
from aurac.results import Run


def is_over_parameters(run: Run) -> bool:
    """Tell whether the points of a run are budgets of parameters."""
    return any(curve.unit == "parameters" for curve in run.curves.values())


def over_parameters(run: Run) -> Run:
    """Return the run with its ranks replaced by the parameters that the adapter has at them.

    Raises:
        RecordError: If the run is over ranks, and the weights that were scored are not at hand to count them.
    """
    if is_over_parameters(run):
        return run
    sizes = {rank: int(size) for rank, size in costs_of("params", run).items()}
    adapter = {**run.record.get("identity", {}).get("adapter", {}), "unit": "parameters"}
    if (whole := _whole(adapter, sizes)) is not None:
        adapter["parameters"] = whole
    # Costs are looked up in the record from here on: the file of the weights is cut by ranks.
    budgets = {str(size): {"parameters": size} for size in sizes.values()}
    record = {**run.record, "identity": {**run.record.get("identity", {}), "adapter": adapter}, "budgets": budgets}
    curves = {task: curve.at_sizes(sizes) for task, curve in run.curves.items()}
    seeds = tuple(over_parameters(one) for one in run.seeds)
    return replace(run, record=record, curves=curves, seeds=seeds)


def in_one_unit(runs: Sequence[Run]) -> list[Run]:
    """Return the runs as they are, or all over parameters where one of them is."""
    return [over_parameters(run) for run in runs] if any(map(is_over_parameters, runs)) else list(runs)


def _whole(adapter: Mapping[str, Any], sizes: Mapping[int, int]) -> int | None:
    """Return the parameters of the whole adapter where its full rank was measured."""
    return sizes.get(int(adapter.get("max_rank", 0)))
