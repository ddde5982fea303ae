"""One metric of one cell: the numbers of its documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from aurac.quadrature import Vector


@dataclass(frozen=True)
class Column:
    """One metric of one cell.

    Attributes:
        ids: lm-eval's number of each of n documents, rising.
        documents: Hashes of each document and its prompt.
        values: Score of each document; None where the metric exists for the corpus only.
        weights: Of each document in a ratio over the corpus; None for a mean.
    """

    ids: tuple[int, ...]
    documents: tuple[str, ...]
    values: Vector | None
    weights: Vector | None

    @classmethod
    def of(cls, rows: Any, metric: str, filter_name: str) -> Self:
        """Read it from the rows of a cell, a pyarrow table."""
        import pyarrow.compute as pc

        rows = rows.filter(pc.and_(pc.equal(rows["metric"], metric), pc.equal(rows["filter"], filter_name)))
        hashes = zip(rows["doc_hash"].to_pylist(), rows["prompt_hash"].to_pylist(), strict=True)
        values, weights = rows["score"], rows["weight"]
        return cls(
            tuple(rows["doc_id"].to_pylist()),
            tuple(f"{document}/{prompt}" for document, prompt in hashes),
            None if values.null_count or len(rows) == 0 else values.to_numpy(),
            None if weights.null_count else weights.to_numpy(),
        )

    def linearised(self) -> Vector:
        """Return values whose mean is the corpus value and whose spread gives its standard error.

        For a mean these are the values. For a ratio R = sum(w_i s_i) / sum(w_i) they are R + w_i (s_i - R) / mean(w),
        the linearisation of a ratio estimator (Cochran 1977, section 2.11).
        """
        assert self.values is not None
        if self.weights is None:
            return self.values
        ratio = float(self.weights @ self.values) / float(self.weights.sum())
        return ratio + self.weights * (self.values - ratio) / float(self.weights.mean())
