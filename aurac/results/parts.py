"""Sweeps that asked a part of the documents: what `run.json` says of it under "parts", and what scores stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.curve.part import Part
from aurac.errors import CurveError, RecordError
from aurac.results.cells import PART
from aurac.results.columns import Column
from aurac.statistics.audit import expanded, strata


def part_of(run: Mapping[str, Any], task: str) -> Mapping[str, Any] | None:
    """Return which part of a task's documents was asked; None where all were, or nothing is decided yet.

    Returns:
        {"of", "asked", "precision"} for a part that was chosen for its precision, or {"of", "audit", "anchor",
        "metric", "filter", "sizes", "audited"} for an audit.
    """
    state = run.get("parts", {}).get(task)
    if not isinstance(state, Mapping) or "whole" in state:
        return None
    return state if {"asked", "audited"} & state.keys() else None


def check_said(run: Mapping[str, Any], task: str, status: Sequence[str], where: str) -> None:
    """Raise `RecordError` for cells that hold a part of the documents, of which nothing says which part it is."""
    if PART in status and part_of(run, task) is None:
        raise RecordError(
            f"{where}: cells of task {task!r} hold a part of its documents, and run.json does not say which. Score it "
            "again into another folder."
        )


def part_curve(state: Mapping[str, Any] | None, ids: Sequence[Sequence[int]]) -> Part | None:
    """Return what a curve says about the part that was asked.

    Args:
        state: From `part_of`.
        ids: Numbers of the documents that were asked at each rank of the curve.
    """
    if state is None or not ids:
        return None
    total, counts = int(state["of"]), [len(found) for found in ids]
    if min(counts) == total:
        return None
    share = sum(counts) / (total * len(counts))
    if "anchor" in state:
        return Part(total, min(counts), anchor=int(state["anchor"]), share=share)
    return Part(total, min(counts), precision=float(state["precision"]) / 100, share=share)


@dataclass(frozen=True)
class Audit:
    """The documents of an audit.

    Attributes:
        task: Name of the task, for messages.
        anchor: All documents at the anchor rank, on the metric that made the strata.
    """

    task: str
    anchor: Column

    @cached_property
    def _strata(self) -> npt.NDArray[np.intp]:
        return strata(self.anchor.values if self.anchor.values is not None else [])

    def expand(self, column: Column) -> Column:
        """Return a column of some documents as one of all (`aurac.statistics.audit.expanded`).

        Raises:
            CurveError: For a metric that is no mean over documents.
            RecordError: If the column has documents or prompts that the anchor rank does not have.
        """
        if column.values is None or column.weights is not None:
            raise CurveError(
                f"task {self.task!r}: this metric is no mean over documents, and ranks were asked on a part of them. "
                "Score the task without --audit."
            )
        if column.documents == self.anchor.documents:
            return column
        known = dict(zip(self.anchor.ids, self.anchor.documents, strict=True))
        if any(known.get(number) != key for number, key in zip(column.ids, column.documents, strict=True)):
            raise RecordError(
                f"task {self.task!r} has other prompts at an audited rank than at the anchor rank. Score it again into "
                "another folder."
            )
        values = expanded(self._strata, np.isin(self.anchor.ids, column.ids), column.values[:, None])[:, 0]
        return replace(column, ids=self.anchor.ids, documents=self.anchor.documents, values=values)
