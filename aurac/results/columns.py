"""One metric of one cell: the numbers of its documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aurac.quadrature import Vector
from aurac.results.tables import DRAWS


@dataclass(frozen=True)
class Column:
    """One metric of one cell.

    Attributes:
        ids: lm-eval's number of each of n documents, rising.
        documents: Hashes of each document and its prompt.
        values: Score of each document; None where the metric exists for the corpus only.
        weights: Of each document in a ratio over the corpus; None for a mean.
        draws: Score under each of P draws of few-shot examples, shape (n, P); None where there was one.
    """

    ids: tuple[int, ...]
    documents: tuple[str, ...]
    values: Vector | None
    weights: Vector | None
    draws: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, rows: Any, metric: str, filter_name: str) -> Self:
        """Read it from the rows of a cell, a pyarrow table."""
        import pyarrow.compute as pc

        rows = rows.filter(pc.and_(pc.equal(rows["metric"], metric), pc.equal(rows["filter"], filter_name)))
        hashes = zip(rows["doc_hash"].to_pylist(), rows["prompt_hash"].to_pylist(), strict=True)
        values, weights, draws = rows["score"], rows["weight"], rows[DRAWS]
        return cls(
            tuple(rows["doc_id"].to_pylist()),
            tuple(f"{document}/{prompt}" for document, prompt in hashes),
            None if values.null_count or len(rows) == 0 else values.to_numpy(),
            None if weights.null_count else weights.to_numpy(),
            None if draws.null_count or len(rows) == 0 else np.array(draws.to_pylist(), dtype=np.float64),
        )

    def linearised(self) -> Vector:
        """Return values whose mean is the corpus value and whose spread gives its standard error.

        For a mean these are the values. For a ratio R = sum(w_i s_i) / sum(w_i) they are R + w_i (s_i - R) / mean(w),
        the linearisation of a ratio estimator (Cochran 1977, section 2.11).
        """
        assert self.values is not None
        return self._linearised(self.values)

    def linearised_draws(self) -> npt.NDArray[np.float64] | None:
        """Return `linearised` under each draw of examples, shape (n, P); their mean over draws is that of the mean."""
        if self.draws is None:
            return None
        return np.stack([self._linearised(values) for values in self.draws.T], axis=1)

    def _linearised(self, values: Vector) -> Vector:
        if self.weights is None:
            return values
        ratio = float(self.weights @ values) / float(self.weights.sum())
        return ratio + self.weights * (values - ratio) / float(self.weights.mean())
