"""Scores of several trainings of one method on the same documents: what a method's curve keeps beside its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError, UnknownNameError

Array = npt.NDArray[np.float64]

SEED_UNITS = ("run", "rank")
"""What a seed was drawn for: "run" when one training gives all ranks, "rank" when each rank was trained by itself."""


@dataclass(frozen=True, eq=False)
class SeedScores:
    """Scores y_isk of n documents under S seeds at K ranks.

    Attributes:
        values: Shape (n, S, K), in the unit of the curve.
        labels: S names of the seeds; seeds of two methods with the same names were trained alike (the same initial
            weights and order of data), so their differences are paired.
        unit: A name in `SEED_UNITS`.
    """

    values: Array
    labels: tuple[str, ...]
    unit: str = "run"

    def __post_init__(self) -> None:
        """Check the shape and the labels."""
        if self.values.ndim != 3 or self.values.shape[1] != len(self.labels) or len(self.labels) < 2:
            raise CurveError(
                f"scores of seeds have shape {self.values.shape} and {len(self.labels)} labels. Give (documents, "
                "seeds, ranks) with one label a seed, and at least 2 seeds."
            )
        if len(set(self.labels)) < len(self.labels):
            raise CurveError(
                f"the labels of the seeds, {', '.join(self.labels)}, are not distinct. Give each seed once."
            )
        if self.unit not in SEED_UNITS:
            raise UnknownNameError("unit of seeds", self.unit, SEED_UNITS)

    def documents(self, rows: Sequence[int]) -> SeedScores:
        """Return the scores of these documents, by position."""
        return SeedScores(self.values[list(rows)], self.labels, self.unit)

    def ranks(self, columns: Sequence[int]) -> SeedScores:
        """Return the scores at these ranks, by position."""
        return SeedScores(self.values[:, :, list(columns)], self.labels, self.unit)
