"""Scores of several trainings, or under several draws of examples: what a curve keeps beside its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

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
            weights and order of data), so their differences are paired. Draws of few-shot examples with the same names
            are the same prompts.
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

    @classmethod
    def mean(cls, several: Sequence[Self | None]) -> Self | None:
        """Return the mean of scores under the same seeds; None where some are lacking, or the seeds differ.

        Example:
            >>> a, b = (SeedScores(np.full((1, 2, 1), value), ("1", "2")) for value in (0.0, 1.0))
            >>> SeedScores.mean([a, b]).values.ravel().tolist(), SeedScores.mean([a, None])
            ([0.5, 0.5], None)
        """
        known = [scores for scores in several if scores is not None]
        if len(known) < len(several) or len({(s.labels, s.unit) for s in known}) != 1:
            return None
        return cls(np.mean([s.values for s in known], axis=0), known[0].labels, known[0].unit)

    def documents(self, rows: Sequence[int]) -> SeedScores:
        """Return the scores of these documents, by position."""
        return SeedScores(self.values[list(rows)], self.labels, self.unit)

    def ranks(self, columns: Sequence[int]) -> SeedScores:
        """Return the scores at these ranks, by position."""
        return SeedScores(self.values[:, :, list(columns)], self.labels, self.unit)
